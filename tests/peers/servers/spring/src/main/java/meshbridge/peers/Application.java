package meshbridge.peers;

import java.io.IOException;
import java.net.URL;
import java.util.HashMap;
import java.util.Map;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.autoconfigure.web.client.RestClientBuilderConfigurer;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.cloud.client.loadbalancer.LoadBalanced;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Scope;
import org.springframework.web.client.RestClient;

/**
 * A Spring Cloud application that answers who it is, calls others by their names in the registry, and is a link of a chain:
 * {@code name= service= port= registry= [host=127.0.0.1] [version=] [zone=] [metadata=name:value;...] [next=SERVICE]
 * [forward=x-lane] [timeout=MILLISECONDS]}, and what its registry knows besides ({@link Registry}).
 */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration
@Import(Answers.class)
public class Application {
    private static final String LOOPBACK = "127.0.0.1";

    public static void main(String[] words) throws IOException, InterruptedException {
        Options options = Options.of(words);
        Orders orders = new Orders() {
            @Override
            protected void carryOut(String order, String argument) {
                throw new IllegalArgumentException("a Spring application knows no such order");
            }
        };
        ConfigurableApplicationContext running = new SpringApplicationBuilder(Application.class)
                .initializers(starting -> {
                    starting.getBeanFactory().registerSingleton("options", options);
                    starting.getBeanFactory().registerSingleton("orders", orders);
                })
                .properties(properties(options))
                .run();
        new URL("http://" + options.get("host", LOOPBACK) + ":" + options.need("port") + "/who").openStream().close();
        while (!Registry.holds(running)) {
            Thread.sleep(20);
        }
        orders.follow(SpringBootVersion.getVersion());
    }

    /** The client that Spring Cloud gives to everyone: it takes the host of a URL for a service's name. */
    @Bean
    @LoadBalanced
    @Scope(BeanDefinition.SCOPE_PROTOTYPE)
    RestClient.Builder client(RestClientBuilderConfigurer usual) {
        return usual.configure(RestClient.builder());
    }

    private static Map<String, Object> properties(Options options) {
        Map<String, Object> properties = new HashMap<>();
        properties.put("spring.application.name", options.need("service"));
        properties.put("server.port", options.need("port"));
        properties.put("server.address", options.get("host", LOOPBACK));
        properties.put("spring.lifecycle.timeout-per-shutdown-phase", "10s");
        properties.put("spring.main.banner-mode", "off");
        properties.put("spring.main.lazy-initialization", true);
        properties.put("spring.cloud.compatibility-verifier.enabled", false);
        properties.put("spring.cloud.discovery.reactive.enabled", false);
        properties.put("spring.cloud.refresh.enabled", false);
        properties.put("logging.level.root", "warn");
        properties.put("logging.level.org.springframework.cloud.loadbalancer.core", "error"); // the answer tells who had none
        properties.put("spring.cloud.loadbalancer.cache.enabled", false); // the registry's client is asked each time
        // The same client for every registry, without retries: the jars of some bring one that asks again after a 503.
        properties.put("spring.http.client.factory", "simple");
        properties.put("spring.http.client.connect-timeout", options.number("timeout", 10_000) + "ms");
        properties.put("spring.http.client.read-timeout", options.number("timeout", 10_000) + "ms");
        Registry.say(options, properties);
        return properties;
    }
}
