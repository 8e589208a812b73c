package ternmq.bench;

import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CountDownLatch;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;

/**
 * Consumes a backlog with a new group, from the first message that arrives to the last one. How long the consumer takes
 * until then is the client's rebalancing and is told apart.
 */
final class Pushes {
    private final int expected;
    private final Set<Long> numbers;
    private final CountDownLatch whole = new CountDownLatch(1);
    private int again;
    private long first;
    private long last;

    private Pushes(int expected) {
        this.expected = expected;
        numbers = new HashSet<>(2 * expected);
    }

    static void run(Plan plan) throws Exception {
        Pushes pushes = new Pushes(plan.number("count", 0));
        DefaultMQPushConsumer consumer = plan.consumer((messages, context) -> {
            messages.forEach(message -> pushes.consumed(ByteBuffer.wrap(message.getBody()).getLong()));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        Steps.say("ready", "");
        Steps.told();
        long start = System.nanoTime();
        consumer.start();
        pushes.whole.await();
        Steps.say("measured", pushes.line(start));
        Steps.told();
        consumer.shutdown();
    }

    private synchronized void consumed(long number) {
        if (numbers.isEmpty()) {
            first = System.nanoTime();
            Steps.say("begin", "");
        }
        if (!numbers.add(number)) {
            again++;
        } else if (numbers.size() == expected) {
            last = System.nanoTime();
            whole.countDown();
        }
    }

    private synchronized String line(long start) {
        return "\"count\": " + numbers.size() + ", \"seconds\": " + (last - first) / 1e9 + ", \"again\": " + again
            + ", \"waited_s\": " + (first - start) / 1e9;
    }
}
