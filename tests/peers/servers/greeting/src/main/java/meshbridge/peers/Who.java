package meshbridge.peers;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.dubbo.common.URL;

/** Offers both services; slow or failing if that was ordered, else it says who it is and what it saw of the call. */
public final class Who implements Greeter, Stock {
    private final Map<String, String> known;
    private final Orders orders;

    Who(Map<String, String> known, Orders orders) {
        this.known = known;
        this.orders = orders;
    }

    @Override
    public String greet(String name) {
        return answer(name);
    }

    @Override
    public String count(String article) {
        return answer(article);
    }

    private String answer(String argument) {
        URL called = Release.called();
        Map<String, String> attachments = new TreeMap<>();
        Release.attachments().forEach((name, value) -> attachments.put(name, String.valueOf(value)));
        Map<String, String> headers = Release.headers();
        orders.obey();
        Map<String, Object> answer = new LinkedHashMap<>(known);
        answer.put("service", called.getServiceInterface());
        answer.put("protocol", called.getProtocol());
        answer.put("port", called.getPort());
        answer.put("argument", argument);
        answer.put("attachments", attachments);
        answer.put("headers", headers);
        return Json.write(answer);
    }
}
