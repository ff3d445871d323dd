package meshbridge.peers;

import java.util.List;
import java.util.Map;
import org.springframework.context.ApplicationContext;

/** Nacos: {@code registry=HOST:PORT [zone=CLUSTER] [group=] [namespace=] [weight=]}. */
final class Registry {
    static final String KIND = "nacos";

    private static final String DISCOVERY = "spring.cloud.nacos.discovery.";

    private static final List<String> LOUD_AT_THE_END = List.of(
            "com.alibaba.nacos.common.notify.NotifyCenter",
            "com.alibaba.cloud.nacos.registry.NacosGracefulShutdownDelegate",
            "org.springframework.beans.factory.support.DisposableBeanAdapter");

    private Registry() {}

    /** Says where Nacos is and what to register there. */
    static void say(Options options, Map<String, Object> properties) {
        properties.put(DISCOVERY + "server-addr", options.need("registry"));
        properties.put(DISCOVERY + "ip", options.get("host", "127.0.0.1"));
        Map.of("zone", "cluster-name", "group", "group", "namespace", "namespace", "weight", "weight", "version", "metadata.version")
                .forEach((option, property) -> {
                    if (options.has(option)) {
                        properties.put(DISCOVERY + property, options.need(option));
                    }
                });
        // Nacos' client ends by itself at the signal that ends Spring, and each complains of the other, after it has deregistered.
        LOUD_AT_THE_END.forEach(logger -> properties.put("logging.level." + logger, "off"));
        options.map("metadata").forEach((name, value) -> properties.put(DISCOVERY + "metadata[" + name + "]", value));
    }

    /** Whether it is registered: it started only because Nacos had answered so. */
    static boolean holds(ApplicationContext running) {
        return true;
    }
}
