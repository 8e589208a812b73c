package ternmq.configuration;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.rocketmq.common.MixAll;

/**
 * Says what Apache's own classes do with a configuration file.
 *
 * <p>{@code keys CLASS...}: a line for each key, "class, key, default" with tabs between; a key without a default is one
 * that is read and never shown. {@code properties}: for each line of standard input, a file in base64, a line with what
 * {@link Properties} reads from it: keys and values in base64, "key=value" with blanks between, or "refused".
 */
public final class Configuration {
    private Configuration() {}

    /** The entry; see above. */
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        if (arguments[0].equals("keys")) {
            for (int number = 1; number < arguments.length; number++) {
                keys(arguments[number], out);
            }
        } else {
            byte[] all = System.in.readAllBytes();
            for (String line : new String(all, StandardCharsets.US_ASCII).split("\n", -1)) {
                out.println(properties(Base64.getDecoder().decode(line)));
            }
        }
    }

    private static void keys(String name, PrintStream out) throws Exception {
        Object made = Class.forName(name).getDeclaredConstructor().newInstance();
        Map<String, String> found = new TreeMap<>();
        for (Method method : made.getClass().getMethods()) {
            String setter = method.getName();
            if (setter.startsWith("set") && setter.length() > 3 && method.getParameterCount() == 1) {
                found.put(setter.substring(3, 4).toLowerCase() + setter.substring(4), "");
            }
        }
        for (Map.Entry<Object, Object> shown : MixAll.object2Properties(made).entrySet()) {
            found.put((String) shown.getKey(), (String) shown.getValue());
        }
        found.forEach((key, value) -> out.println(name + "\t" + key + "\t" + value.replace("\n", " ")));
    }

    private static String properties(byte[] file) throws IOException {
        Properties read = new Properties();
        try {
            read.load(new ByteArrayInputStream(file));
        } catch (IllegalArgumentException malformed) {
            return "refused";
        }
        return read.entrySet().stream()
                .map(entry -> encode(entry.getKey()) + "=" + encode(entry.getValue()))
                .sorted()
                .collect(Collectors.joining(" "));
    }

    private static String encode(Object text) {
        // UTF-16, because half a surrogate pair is a character for Java, and UTF-8 has none for it.
        return Base64.getUrlEncoder().withoutPadding().encodeToString(((String) text).getBytes(StandardCharsets.UTF_16BE));
    }
}
