package ternmq.bench;

import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.Set;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;

/**
 * Consumes a backlog slowly, through the end of its master: each line on standard input answers with the longest time
 * without a new message since the line before, and with how many came; the end of the input ends the run.
 */
final class Reads {
    private final Set<Long> numbers = new HashSet<>();
    private long last = System.nanoTime();
    private long longest;
    private int sinceLine;

    private Reads() {
    }

    static void run(Plan plan) throws Exception {
        Reads reads = new Reads();
        DefaultMQPushConsumer consumer = plan.consumer((messages, context) -> {
            messages.forEach(message -> reads.consumed(ByteBuffer.wrap(message.getBody()).getLong()));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Steps.say("ready", "");
        while (Steps.told() != null) {
            Steps.say("gap", reads.gap());
        }
        consumer.shutdown();
    }

    private synchronized void consumed(long number) {
        if (numbers.add(number)) {
            long now = System.nanoTime();
            longest = Math.max(longest, now - last);
            last = now;
            sinceLine++;
        }
    }

    private synchronized String gap() {
        long gap = Math.max(longest, System.nanoTime() - last);
        String line = "\"longest_ms\": " + gap / 1e6 + ", \"count\": " + sinceLine + ", \"distinct\": " + numbers.size();
        longest = 0;
        sinceLine = 0;
        return line;
    }
}
