package meshbridge.peers;

import jakarta.servlet.http.HttpServletRequest;
import java.net.URI;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;

/** What is asked over HTTP; a call to another service carries along the one header that is forwarded. */
@RestController
class Answers {
    private static final ParameterizedTypeReference<List<Object>> LINKS = new ParameterizedTypeReference<>() {};

    private final Options options;
    private final Orders orders;
    private final RestClient client;
    private final String forwarded;

    Answers(Options options, Orders orders, RestClient.Builder client) {
        this.options = options;
        this.orders = orders;
        this.client = client.build();
        this.forwarded = options.get("forward", "x-lane");
    }

    /** Who answers, and the headers that it saw. */
    @GetMapping("/who")
    Map<String, Object> who(HttpServletRequest request) {
        orders.obey();
        return self(request);
    }

    /** Who answers here, followed by what the next service of the chain answers. */
    @GetMapping("/chain")
    List<Object> chain(HttpServletRequest request) throws NoAnswer {
        orders.obey();
        List<Object> links = new ArrayList<>();
        links.add(self(request));
        if (options.has("next")) {
            links.addAll(ask(options.need("next"), "/chain", request, LINKS));
        }
        return links;
    }

    /** What another service answers. */
    @GetMapping("/call/{service}")
    Object call(@PathVariable String service, @RequestParam(defaultValue = "/who") String path, HttpServletRequest request)
            throws NoAnswer {
        return ask(service, path, request, ParameterizedTypeReference.forType(Object.class));
    }

    /** It was told to fail. */
    @ExceptionHandler
    @ResponseStatus(HttpStatus.INTERNAL_SERVER_ERROR)
    Map<String, Object> fail(IllegalStateException told) {
        return Map.of("error", told.getMessage());
    }

    /** Whom it called did not answer, or not well. */
    @ExceptionHandler
    @ResponseStatus(HttpStatus.BAD_GATEWAY)
    Map<String, Object> fail(NoAnswer reason) {
        return Map.of("error", reason.getMessage());
    }

    private <T> T ask(String service, String path, HttpServletRequest request, ParameterizedTypeReference<T> type)
            throws NoAnswer {
        String carried = request.getHeader(forwarded);
        try {
            return client.get()
                    .uri(URI.create("http://" + service + path))
                    .headers(headers -> {
                        if (carried != null) {
                            headers.set(forwarded, carried);
                        }
                    })
                    .retrieve()
                    .body(type);
        } catch (RuntimeException reason) { // the client, the load balancer and the registry each have their own
            throw new NoAnswer(service, reason);
        }
    }

    private Map<String, Object> self(HttpServletRequest request) {
        Map<String, String> headers = new TreeMap<>();
        for (String name : Collections.list(request.getHeaderNames())) {
            headers.put(name.toLowerCase(Locale.ROOT), request.getHeader(name));
        }
        Map<String, Object> self = new LinkedHashMap<>();
        for (String name : List.of("name", "service", "version", "zone")) {
            self.put(name, options.get(name, ""));
        }
        self.put("port", request.getLocalPort());
        self.put("registry", Registry.KIND);
        self.put("headers", headers);
        return self;
    }

    /** What became of a call instead of an answer. */
    private static final class NoAnswer extends Exception {
        NoAnswer(String service, RuntimeException reason) {
            super(service + ": " + reason);
        }
    }
}
