package meshbridge.peers;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.dubbo.common.Version;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * Offers both services: {@code name= app= host= protocols=dubbo:PORT,tri:PORT [registry=zookeeper://...|nacos://...]
 * [mode=interface|instance|all] [metadata=local|remote] [group=] [version=] [zone=] [region=] [weight=]
 * [tag=] [params=name:value;name:value]}. Without a registry it can be called by its URL only. Ordered {@code offline}, it
 * is registered nowhere any more and goes on answering.
 */
public final class Provider extends Orders {
    private final Options options;

    private Provider(Options options) {
        this.options = options;
    }

    public static void main(String[] words) throws IOException {
        Provider provider = new Provider(Options.of(words));
        provider.offer();
        provider.follow(Version.getVersion());
    }

    @Override
    protected void carryOut(String order, String argument) {
        if (!order.equals("offline")) {
            throw new IllegalArgumentException("a provider knows no such order");
        }
        Release.offline();
    }

    private void offer() {
        ApplicationConfig application = new ApplicationConfig(options.need("app"));
        application.setQosEnable(false);
        application.setMetadataType(options.get("metadata", "local"));
        Release.configure(application, options);
        Who who = new Who(known(), this);
        DubboBootstrap.getInstance()
                .application(application)
                .registry(new RegistryConfig(options.get("registry", RegistryConfig.NO_AVAILABLE)))
                .protocols(protocols())
                .service(service(Greeter.class, who))
                .service(service(Stock.class, who))
                .start();
    }

    private List<ProtocolConfig> protocols() {
        List<ProtocolConfig> protocols = new ArrayList<>();
        for (String word : options.need("protocols").split(",")) {
            int at = word.indexOf(':');
            ProtocolConfig protocol = new ProtocolConfig(word.substring(0, at), Integer.parseInt(word.substring(at + 1)));
            protocol.setHost(options.need("host"));
            protocols.add(protocol);
        }
        return protocols;
    }

    private <T> ServiceConfig<T> service(Class<T> type, T answers) {
        ServiceConfig<T> service = new ServiceConfig<>();
        service.setId(type.getSimpleName()); // 2.7 takes two without one for the same
        service.setInterface(type);
        service.setRef(answers);
        service.setGroup(options.get("group", null));
        service.setVersion(options.get("version", null));
        service.setTag(options.get("tag", null));
        if (options.has("weight")) {
            service.setWeight(options.number("weight", 0));
        }
        service.setParameters(parameters());
        return service;
    }

    /** What its URL says beyond what Dubbo puts there. */
    private Map<String, String> parameters() {
        Map<String, String> parameters = options.map("params");
        for (String name : List.of("zone", "region")) {
            if (options.has(name)) {
                parameters.put(name, options.need(name));
            }
        }
        return parameters;
    }

    private Map<String, String> known() {
        Map<String, String> known = new LinkedHashMap<>();
        known.put("release", Version.getVersion());
        for (String name : List.of("name", "app", "group", "version", "zone", "region", "tag")) {
            known.put(name, options.get(name, ""));
        }
        return known;
    }
}
