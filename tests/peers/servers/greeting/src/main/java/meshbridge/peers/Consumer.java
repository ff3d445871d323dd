package meshbridge.peers;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.apache.dubbo.common.Version;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * Calls one of the services: {@code app= host= url=dubbo://...|tri://... | registry=... [mode=interface|instance|all]
 * [service=greeter|stock] [group=] [version=] [timeout=MILLISECONDS] [retries=] [params=name:value;...]
 * [attachments=name:value;...] [every=MILLISECONDS]}. Its own orders: {@code call N} calls that often; {@code every
 * MILLISECONDS} goes on calling, that long after each answer, until {@code every 0}; the option of that name does so from the
 * start. Each call leaves one line of JSON.
 */
public final class Consumer extends Orders {
    private final Map<String, String> attachments;
    private final UnaryOperator<String> service;
    private final AtomicInteger called = new AtomicInteger();
    private ScheduledExecutorService load;

    private Consumer(Map<String, String> attachments, UnaryOperator<String> service) {
        this.attachments = attachments;
        this.service = service;
    }

    public static void main(String[] words) throws IOException, InterruptedException {
        Options options = Options.of(words);
        // The address that it registers for itself; Dubbo looks for one of the machine's otherwise.
        System.setProperty("DUBBO_IP_TO_REGISTRY", options.need("host"));
        UnaryOperator<String> service = switch (options.get("service", "greeter")) {
            case "greeter" -> refer(options, Greeter.class)::greet;
            case "stock" -> refer(options, Stock.class)::count;
            default -> throw new IllegalArgumentException("no such service: " + options.need("service"));
        };
        Consumer consumer = new Consumer(options.map("attachments"), service);
        consumer.every(options.number("every", 0));
        consumer.follow(Version.getVersion());
    }

    private static <T> T refer(Options options, Class<T> type) {
        ApplicationConfig application = new ApplicationConfig(options.need("app"));
        application.setQosEnable(false);
        Release.configure(application, options);
        ReferenceConfig<T> reference = new ReferenceConfig<>();
        reference.setInterface(type);
        reference.setUrl(options.get("url", null));
        reference.setGroup(options.get("group", null));
        reference.setVersion(options.get("version", null));
        reference.setTimeout(options.number("timeout", 1000));
        reference.setRetries(options.number("retries", 0));
        reference.setCheck(false); // without a provider it starts, and its calls fail
        reference.setParameters(options.map("params"));
        DubboBootstrap.getInstance()
                .application(application)
                .registry(new RegistryConfig(options.get("registry", RegistryConfig.NO_AVAILABLE)))
                .reference(reference)
                .start();
        return reference.get();
    }

    @Override
    protected void carryOut(String order, String argument) throws InterruptedException {
        switch (order) {
            case "call" -> {
                for (int left = Integer.parseInt(argument); left > 0; left--) {
                    call(order);
                }
            }
            case "every" -> every(Long.parseLong(argument));
            default -> throw new IllegalArgumentException("a consumer knows no such order");
        }
    }

    private void every(long pause) throws InterruptedException {
        if (load != null) {
            load.shutdown();
            if (!load.awaitTermination(1, TimeUnit.MINUTES)) {
                throw new IllegalStateException("a call goes on and on");
            }
            load = null;
        }
        if (pause > 0) {
            load = Executors.newSingleThreadScheduledExecutor();
            load.scheduleWithFixedDelay(() -> call("every"), 0, pause, TimeUnit.MILLISECONDS);
        }
    }

    /** Calls once and tells what came of it, with the clock that every process of the machine shares. */
    private void call(String order) {
        attachments.forEach(Release::attach);
        long begun = System.nanoTime();
        Map<String, Object> outcome = new LinkedHashMap<>();
        outcome.put("order", order);
        outcome.put("at", begun / 1e9);
        String result;
        try {
            result = ",\"answer\":" + service.apply("call " + called.getAndIncrement());
        } catch (RuntimeException failure) {
            result = ",\"error\":" + Json.write(failure.toString());
        }
        outcome.put("ms", (System.nanoTime() - begun) / 1e6);
        outcome.put("ok", result.startsWith(",\"answer"));
        String told = Json.write(outcome);
        System.out.println(told.substring(0, told.length() - 1) + result + "}");
    }
}
