package meshbridge.peers;

import java.util.Map;
import java.util.stream.Collectors;

/** Writes JSON: maps as objects, numbers and truths as they are, everything else as text. */
final class Json {
    private Json() {}

    static String write(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream()
                    .map(each -> text(each.getKey()) + ":" + write(each.getValue()))
                    .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof Number || value instanceof Boolean) {
            return value.toString();
        }
        return text(value);
    }

    private static String text(Object value) {
        return String.valueOf(value).codePoints()
                .mapToObj(each -> each < ' ' || each == '"' || each == '\\' || each > '~' ? escaped(each) : Character.toString(each))
                .collect(Collectors.joining("", "\"", "\""));
    }

    private static String escaped(int point) {
        return Character.toString(point).chars()
                .mapToObj(unit -> String.format("\\u%04x", unit))
                .collect(Collectors.joining());
    }
}
