package ternmq.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** A JSON line for each step, and a line on standard input that lets it go on. */
final class Steps {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private static final BufferedReader IN =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private Steps() {
    }

    /** Prints a line; the members are given as they stand in JSON. */
    static void say(String event, String members) {
        OUT.println("{\"event\": \"" + event + "\"" + (members.isEmpty() ? "" : ", " + members) + "}");
    }

    /** The next line of standard input; null at its end. */
    static String told() throws IOException {
        return IN.readLine();
    }
}
