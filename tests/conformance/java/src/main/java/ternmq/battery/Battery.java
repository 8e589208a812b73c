package ternmq.battery;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The official Java client, unmodified, driven through scenarios.
 *
 * <p>Usage: {@code Battery} reads scenarios from standard input, one a line, as {@code NAMESERVERS SCENARIO TOPIC
 * [ARGUMENT...]} separated by tabs, and runs them one after another in one process; {@code Battery NAMESERVERS SCENARIO
 * TOPIC [ARGUMENT...]} runs a single one. Writes JSON lines: what went in, what came back; the last line of a scenario
 * is {@code done}, or {@code crashed} with the reason. {@code done} says that the scenario ran to its end, not that the
 * answers were right: the caller compares.
 */
public final class Battery {
    private Battery() {
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0) {
            report(arguments);
        } else {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                report(line.split("\t", -1));
            }
        }
        // The client leaves a few non-daemon threads behind.
        System.exit(0);
    }

    private static void report(String[] words) {
        try {
            run(words[0], words[1], words[2], Arrays.copyOfRange(words, 3, words.length));
            Lines.event("done").with("scenario", words[1]).print();
        } catch (Throwable failure) {
            StringWriter text = new StringWriter();
            failure.printStackTrace(new PrintWriter(text));
            Lines.event("crashed").with("scenario", words[1]).with("text", text).print();
        }
    }

    private static void run(String nameServers, String scenario, String topic, String[] rest) throws Exception {
        switch (scenario) {
            case "create-topic" -> Sends.createTopic(nameServers, topic, number(rest, 0));
            case "sync" -> Sends.sync(nameServers, topic, number(rest, 0));
            case "async" -> Sends.async(nameServers, topic, number(rest, 0));
            case "oneway" -> Sends.oneWay(nameServers, topic, number(rest, 0));
            case "batch" -> Sends.batch(nameServers, topic, number(rest, 0));
            case "delayed" -> Sends.delayed(nameServers, topic, number(rest, 0), number(rest, 1));
            case "unknown-topic" -> Sends.unknownTopic(nameServers, topic);
            case "pull" -> Pulls.all(nameServers, topic, rest.length > 0 ? rest[0] : "*");
            case "edges" -> Pulls.edges(nameServers, topic);
            case "offsets" -> Offsets.all(nameServers, topic);
            case "committed" -> Offsets.committed(nameServers, topic, rest[0]);
            case "search" -> Offsets.search(nameServers, topic, number(rest, 0), Long.parseLong(rest[1]));
            case "push" -> Pushes.concurrently(nameServers, topic, rest[0], rest[1], rest[2], number(rest, 3));
            case "push-broadcast" -> Pushes.broadcast(nameServers, topic, rest[0], rest[1], number(rest, 2),
                number(rest, 3));
            case "push-orderly" -> Pushes.orderly(nameServers, topic, rest[0], number(rest, 1), number(rest, 2));
            case "push-retry" -> Retries.concurrently(nameServers, topic, rest[0], number(rest, 1), number(rest, 2));
            case "push-retry-orderly" -> Retries.orderly(nameServers, topic, rest[0], number(rest, 1));
            case "push-sql" -> Pushes.bySql(nameServers, topic, rest[0]);
            case "rebalance" -> Rebalance.two(nameServers, topic, rest[0], Boolean.parseBoolean(rest[1]));
            case "lite-subscribe" -> LitePulls.subscribed(nameServers, topic, rest[0], rest[1], number(rest, 2));
            case "lite-assign" -> LitePulls.assigned(nameServers, topic, rest[0], number(rest, 1), number(rest, 2));
            case "query" -> Queries.keys(nameServers, topic, rest);
            case "view" -> Queries.view(nameServers, topic, rest);
            case "long-producer" -> Endless.producer(nameServers, topic);
            case "long-push" -> Endless.push(nameServers, topic, rest[0]);
            default -> throw new IllegalArgumentException("no scenario " + scenario);
        }
    }

    private static int number(String[] words, int at) {
        return Integer.parseInt(words[at]);
    }
}
