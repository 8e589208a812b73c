package ternmq.bench;

import java.util.HashMap;
import java.util.Map;

/**
 * Load of the official Java client, unmodified.
 *
 * <p>Usage: {@code Bench NAMESERVERS SCENARIO TOPIC [name=value...]}. Writes JSON lines: {@code ready}, and after a line
 * on standard input {@code begin} and {@code measured}. A send counts if its status is SEND_OK, and nothing else does;
 * the number of each such message is written to the file {@code numbers}, 8 bytes each, so that another program can
 * read everything back.
 */
public final class Bench {
    private Bench() {
    }

    public static void main(String[] words) throws Exception {
        Map<String, String> settings = new HashMap<>();
        for (int at = 3; at < words.length; at++) {
            String[] pair = words[at].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        Plan plan = new Plan(words[0], words[2], settings);
        switch (words[1]) {
            case "sync" -> Sends.run(plan, new SyncSends());
            case "async" -> Sends.run(plan, new AsyncSends(plan));
            case "batch" -> Sends.run(plan, new BatchSends(plan));
            case "steady" -> Sends.run(plan, new SteadySends(plan));
            case "gaps" -> Gaps.run(plan);
            case "push" -> Pushes.run(plan);
            case "receipt" -> Receipts.run(plan);
            case "reads" -> Reads.run(plan);
            default -> throw new IllegalArgumentException("no scenario " + words[1]);
        }
        // The client leaves a few non-daemon threads behind.
        System.exit(0);
    }
}
