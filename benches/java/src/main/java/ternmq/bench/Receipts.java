package ternmq.bench;

import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/**
 * A steady send, and a push consumer of the same topic in the same process: how long from the time at which a message
 * was due until the consumer has it. Both read one clock.
 */
final class Receipts implements Sends.Way {
    /** Messages with negative numbers only show that the consumer has its queues. */
    private static final int PROBES = 16;
    private static final long PROBED_WITHIN_S = 60;
    private static final long RECEIVED_WITHIN_S = 10;

    private final SteadySends sends;
    private final Tally sent = new Tally();
    private final Tally received = new Tally();
    private final AtomicInteger probes = new AtomicInteger();
    private final AtomicInteger receipts = new AtomicInteger();

    private Receipts(Plan plan) {
        sends = new SteadySends(plan);
    }

    static void run(Plan plan) throws Exception {
        Receipts receipts = new Receipts(plan);
        DefaultMQPushConsumer consumer = plan.consumer((messages, context) -> {
            messages.forEach(message -> receipts.received(ByteBuffer.wrap(message.getBody())));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        receipts.probe(plan);
        Sends.run(plan, receipts, receipts.sent, receipts.received);
        consumer.shutdown();
    }

    @Override
    public int send(DefaultMQProducer producer, Plan plan, Tally tally, long number) throws Exception {
        return sends.send(producer, plan, tally, number);
    }

    @Override
    public void drain() throws InterruptedException {
        sends.drain();
        // What does not come shows in the count of the window.
        await(() -> receipts.get() >= sent.acknowledged(), RECEIVED_WITHIN_S);
    }

    private void received(ByteBuffer body) {
        long now = System.nanoTime();
        if (body.getLong() < 0) {
            probes.incrementAndGet();
            return;
        }
        received.took(now - body.getLong());
        receipts.incrementAndGet();
    }

    /** Sends to all queues in turn, and waits until all of it has come. */
    private void probe(Plan plan) throws Exception {
        DefaultMQProducer producer = plan.producer("bench-probe");
        for (int at = 0; at < PROBES; at++) {
            producer.send(plan.message(-1 - at));
        }
        if (!await(() -> probes.get() >= PROBES, PROBED_WITHIN_S)) {
            throw new IllegalStateException("the consumer had " + probes.get() + " of " + PROBES + " probes");
        }
        producer.shutdown();
    }

    private static boolean await(BooleanSupplier condition, long seconds)
        throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!condition.getAsBoolean() && System.nanoTime() < end) {
            Thread.sleep(5);
        }
        return condition.getAsBoolean();
    }
}
