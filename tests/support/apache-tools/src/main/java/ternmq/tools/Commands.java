package ternmq.tools;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs one mqadmin command after another in one process, as starting a JVM takes longer than most commands do.
 *
 * <p>Reads a command a line, its words separated by tabs. Writes a JSON object a line: {@code event} is {@code shown},
 * {@code output} and {@code errors} are what the command wrote, as base64.
 */
public final class Commands {
    private Commands() {
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            ByteArrayOutputStream errors = new ByteArrayOutputStream();
            System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
            MQAdminStartup.main0(line.split("\t", -1), null);
            answers.printf("{\"event\":\"shown\",\"output\":\"%s\",\"errors\":\"%s\"}%n", text(output), text(errors));
            answers.flush();
        }
        // The tool leaves a few non-daemon threads behind.
        System.exit(0);
    }

    private static String text(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
