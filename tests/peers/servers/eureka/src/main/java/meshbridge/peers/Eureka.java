package meshbridge.peers;

import com.netflix.eureka.registry.PeerAwareInstanceRegistry;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.cloud.netflix.eureka.server.EnableEurekaServer;
import org.springframework.cloud.netflix.eureka.server.InstanceRegistry;

/** A Eureka server; every property of Spring's may be an argument. */
@SpringBootApplication
@EnableEurekaServer
public class Eureka {
    /** The line after which the server answers. */
    static final String READY = "PEER READY";

    public static void main(String[] arguments) {
        new SpringApplicationBuilder(Eureka.class).run(arguments);
        String eureka = version(PeerAwareInstanceRegistry.class);
        String spring = version(InstanceRegistry.class);
        System.out.printf("PEER VERSION %s (Spring Cloud Netflix %s)%n%s%n", eureka, spring, READY);
    }

    /** No interface of the server tells a version; this is the one that is written into the jar of a running class. */
    private static String version(Class<?> running) {
        return running.getPackage().getImplementationVersion();
    }
}
