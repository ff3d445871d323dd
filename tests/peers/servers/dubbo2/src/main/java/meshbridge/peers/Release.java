package meshbridge.peers;

import java.util.Map;
import org.apache.dubbo.common.URL;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.rpc.RpcContext;

/** What is said otherwise in Dubbo 2.7 than in Dubbo 3. */
final class Release {
    private Release() {}

    /** Refuses what it cannot do: it registers its interfaces and nothing else. */
    static void configure(ApplicationConfig application, Options options) {
        if (!options.get("mode", "interface").equals("interface")) {
            throw new IllegalArgumentException("Dubbo 2.7 is used with mode=interface");
        }
    }

    /** Nobody needs it of Dubbo 2.7 yet. */
    static void offline() {
        throw new UnsupportedOperationException("only a provider of Dubbo 3 is taken offline");
    }

    /** The URL of the provider's that the call being served came in by. */
    static URL called() {
        return RpcContext.getContext().getInvoker().getUrl();
    }

    /** What came with the call being served, beyond its arguments; Dubbo's context hides its own words, as dubbo.tag. */
    static Map<String, Object> attachments() {
        return RpcContext.getContext().getInvocation().getObjectAttachments();
    }

    /** None: it does not speak HTTP. */
    static Map<String, String> headers() {
        return Map.of();
    }

    /** Sends a word along with this thread's next call. */
    static void attach(String name, String value) {
        RpcContext.getContext().setAttachment(name, value);
    }
}
