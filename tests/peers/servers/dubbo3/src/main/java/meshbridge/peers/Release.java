package meshbridge.peers;

import java.util.Map;
import java.util.TreeMap;
import org.apache.dubbo.common.URL;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.qos.command.impl.Offline;
import org.apache.dubbo.remoting.http12.HttpRequest;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.model.FrameworkModel;

/** What is said otherwise in Dubbo 3 than in Dubbo 2.7. */
final class Release {
    private Release() {}

    /** Chooses how it registers and looks for others: as interfaces, as an application, or both. */
    static void configure(ApplicationConfig application, Options options) {
        String mode = options.get("mode", "all");
        application.setRegisterMode(mode);
        System.setProperty("dubbo.application.service-discovery.migration", switch (mode) {
            case "interface" -> "FORCE_INTERFACE";
            case "instance" -> "FORCE_APPLICATION";
            default -> "APPLICATION_FIRST";
        });
    }

    /** Takes all that it registered back, as the command of Dubbo's QoS does, which a hook before the stop calls. */
    static void offline() {
        if (!new Offline(FrameworkModel.defaultModel()).offline(".*")) {
            throw new IllegalStateException("Dubbo found nothing to take back");
        }
    }

    /** The URL of the provider's that the call being served came in by. */
    static URL called() {
        return RpcContext.getServiceContext().getUrl();
    }

    /** What came with the call being served, beyond its arguments; Dubbo's context hides its own words, as dubbo.tag. */
    static Map<String, Object> attachments() {
        return RpcContext.getServiceContext().getInvocation().getObjectAttachments();
    }

    /** The HTTP headers that the call being served came with, the last of each name; none unless it came by Triple. */
    static Map<String, String> headers() {
        Map<String, String> headers = new TreeMap<>();
        if (RpcContext.getServiceContext().getRequest() instanceof HttpRequest request) {
            request.headers().forEach(each -> headers.put(each.getKey().toString(), each.getValue()));
        }
        return headers;
    }

    /** Sends a word along with this thread's next call. */
    static void attach(String name, String value) {
        RpcContext.getClientAttachment().setAttachment(name, value);
    }
}
