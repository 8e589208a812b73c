package ternmq.bench;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;

/** What came of the sends. Everything acknowledged is remembered; only what falls into the window is measured. */
final class Tally {
    private long[] acknowledged = new long[1 << 16];
    private int count;
    private long[] taken = new long[1 << 16];
    private int measured;
    private final Map<String, Integer> others = new TreeMap<>();
    private boolean counting;
    private long last = System.nanoTime();
    private long longest;
    private int sinceLine;

    /** Opens or closes the window. */
    synchronized void counting(boolean on) {
        counting = on;
    }

    synchronized void answered(SendResult result, long[] numbers, long since) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            others.merge(result.getSendStatus().name(), numbers.length, Integer::sum);
            return;
        }
        long now = System.nanoTime();
        longest = Math.max(longest, now - last);
        last = now;
        for (long number : numbers) {
            acknowledged = roomFor(acknowledged, count);
            acknowledged[count++] = number;
            sinceLine++;
            took(now - since);
        }
    }

    /** Notes how long one message took, if it falls into the window. */
    synchronized void took(long nanoseconds) {
        if (counting) {
            taken = roomFor(taken, measured);
            taken[measured++] = nanoseconds;
        }
    }

    /** How many were acknowledged so far. */
    synchronized int acknowledged() {
        return count;
    }

    synchronized void failed(Throwable failure, int messages) {
        Integer code = failure instanceof MQBrokerException broker ? Integer.valueOf(broker.getResponseCode())
            : failure instanceof MQClientException client ? Integer.valueOf(client.getResponseCode()) : null;
        others.merge(failure.getClass().getSimpleName() + (code == null ? "" : " " + code), messages, Integer::sum);
    }

    /** The line of a window that lasted so long. */
    synchronized String line(double seconds) {
        long[] sorted = Arrays.copyOf(taken, measured);
        Arrays.sort(sorted);
        return "\"count\": " + measured + ", \"seconds\": " + seconds + ", \"p50_ms\": " + quantile(sorted, 0.5)
            + ", \"p99_ms\": " + quantile(sorted, 0.99) + ", \"others\": " + others();
    }

    /** The longest time without an acknowledgement since the last call. */
    synchronized String gap() {
        long gap = Math.max(longest, System.nanoTime() - last);
        String line = "\"longest_ms\": " + gap / 1e6 + ", \"count\": " + sinceLine + ", \"others\": " + others();
        longest = 0;
        sinceLine = 0;
        return line;
    }

    synchronized void save(Path file) throws IOException {
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
            for (int at = 0; at < count; at++) {
                out.writeLong(acknowledged[at]);
            }
        }
    }

    private String others() {
        return others.entrySet().stream().map(entry -> "\"" + entry.getKey() + "\": " + entry.getValue())
            .collect(Collectors.joining(", ", "{", "}"));
    }

    private static long[] roomFor(long[] values, int size) {
        return size < values.length ? values : Arrays.copyOf(values, 2 * values.length);
    }

    private static double quantile(long[] sorted, double quantile) {
        return sorted.length == 0 ? 0 : sorted[(int) ((sorted.length - 1) * quantile)] / 1e6;
    }
}
