package meshbridge.peers;

import com.alibaba.nacos.core.code.ControllerMethodsCache;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.ServletComponentScan;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.scheduling.annotation.EnableScheduling;

/**
 * A Nacos 2 server of the naming and configuration modules, without the console.
 *
 * <p>The console normally tells the request filters which controllers exist; a server that was not told answers 501
 * to every call of the version 1 interface, so this class tells them.
 */
@EnableScheduling
@ServletComponentScan(Nacos2.SERVER)
@SpringBootApplication(scanBasePackages = Nacos2.SERVER)
public class Nacos2 {
    static final String SERVER = "com.alibaba.nacos";

    /** The line after which every interface of the server answers. */
    static final String READY = "PEER READY";

    public static void main(String[] arguments) {
        ConfigurableApplicationContext server = SpringApplication.run(Nacos2.class, arguments);
        ControllerMethodsCache known = server.getBean(ControllerMethodsCache.class);
        known.initClassMethod(SERVER + ".naming.controllers");
        known.initClassMethod(SERVER + ".config.server.controller");
        System.out.println(READY);
    }
}
