package meshbridge.peers;

import com.netflix.appinfo.ApplicationInfoManager;
import com.netflix.appinfo.InstanceInfo;
import java.util.Map;
import org.springframework.context.ApplicationContext;

/**
 * Eureka: {@code registry=HOST:PORT [heartbeat=SECONDS] [lease=SECONDS] [fetch=SECONDS]}, which are how often it renews its lease,
 * how long that lasts, and how often it asks for the instances of others.
 */
final class Registry {
    static final String KIND = "eureka";

    private static final String CLIENT = "eureka.client.";
    private static final String INSTANCE = "eureka.instance.";

    private Registry() {}

    /** Says where Eureka is and what to register there. */
    static void say(Options options, Map<String, Object> properties) {
        properties.put(CLIENT + "service-url.defaultZone", "http://" + options.need("registry") + "/eureka/");
        String host = options.get("host", "127.0.0.1");
        properties.put(INSTANCE + "hostname", host);
        properties.put(INSTANCE + "ip-address", host);
        properties.put(INSTANCE + "instance-id", host + ":" + options.need("service") + ":" + options.need("port"));
        Map.of(
                        "heartbeat", INSTANCE + "lease-renewal-interval-in-seconds",
                        "lease", INSTANCE + "lease-expiration-duration-in-seconds",
                        "fetch", CLIENT + "registry-fetch-interval-seconds",
                        "version", INSTANCE + "metadata-map.version",
                        "zone", INSTANCE + "metadata-map.zone")
                .forEach((option, property) -> {
                    if (options.has(option)) {
                        properties.put(property, options.need(option));
                    }
                });
        options.map("metadata").forEach((name, value) -> properties.put(INSTANCE + "metadata-map[" + name + "]", value));
    }

    /** Whether it is registered as one that may be called: Eureka's client has nothing left to tell its server. */
    static boolean holds(ApplicationContext running) {
        InstanceInfo self = running.getBean(ApplicationInfoManager.class).getInfo();
        return self.getStatus() == InstanceInfo.InstanceStatus.UP && !self.isDirty();
    }
}
