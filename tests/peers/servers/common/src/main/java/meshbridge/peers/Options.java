package meshbridge.peers;

import java.util.LinkedHashMap;
import java.util.Map;

/** What the command line says, as {@code name=value} words. */
final class Options {
    private final Map<String, String> values = new LinkedHashMap<>();

    private Options() {}

    /** Reads the command line; a word without {@code =} is a mistake of whoever wrote the test. */
    static Options of(String[] words) {
        Options options = new Options();
        for (String word : words) {
            int at = word.indexOf('=');
            if (at < 1) {
                throw new IllegalArgumentException("not a name=value word: " + word);
            }
            options.values.put(word.substring(0, at), word.substring(at + 1));
        }
        return options;
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    String get(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    /** The value of a word that must be there. */
    String need(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("missing on the command line: " + name + "=...");
        }
        return value;
    }

    int number(String name, int otherwise) {
        return has(name) ? Integer.parseInt(need(name)) : otherwise;
    }

    /** A map that stands in one word, as {@code params=region:hz;weight:50}. */
    Map<String, String> map(String name) {
        Map<String, String> map = new LinkedHashMap<>();
        for (String pair : get(name, "").split(";")) {
            int at = pair.indexOf(':');
            if (at > 0) {
                map.put(pair.substring(0, at), pair.substring(at + 1));
            }
        }
        return map;
    }
}
