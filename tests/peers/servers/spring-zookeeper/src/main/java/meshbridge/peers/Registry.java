package meshbridge.peers;

import java.util.Map;
import org.springframework.context.ApplicationContext;

/** ZooKeeper: {@code registry=HOST:PORT [lease=SECONDS]}, which is how long its session lasts without it. */
final class Registry {
    static final String KIND = "zookeeper";

    private static final String ZOOKEEPER = "spring.cloud.zookeeper.";
    private static final String DISCOVERY = ZOOKEEPER + "discovery.";

    private Registry() {}

    /** Says where ZooKeeper is and what to register there. */
    static void say(Options options, Map<String, Object> properties) {
        properties.put(ZOOKEEPER + "connect-string", options.need("registry"));
        properties.put(DISCOVERY + "instance-host", options.get("host", "127.0.0.1"));
        if (options.has("lease")) {
            // It warns of a session that is shorter than a connection may take to come up.
            properties.put("logging.level.org.apache.curator.CuratorZookeeperClient", "error");
            properties.put(ZOOKEEPER + "session-timeout", options.need("lease") + "s");
        }
        options.map("metadata").forEach((name, value) -> properties.put(DISCOVERY + "metadata[" + name + "]", value));
        for (String name : new String[] {"version", "zone"}) {
            if (options.has(name)) {
                properties.put(DISCOVERY + "metadata." + name, options.need(name));
            }
        }
    }

    /** Whether it is registered: it started only because ZooKeeper had its node. */
    static boolean holds(ApplicationContext running) {
        return true;
    }
}
