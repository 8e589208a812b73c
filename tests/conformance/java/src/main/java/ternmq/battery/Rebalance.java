package ternmq.battery;

import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageQueue;

/** Two consumers of one group share the queues; the one that stays takes over what the other leaves. */
final class Rebalance {
    private static final int MESSAGES = 24;
    /** A client may pass over a heartbeat while another is on its way; the next one comes after 30 s. */
    private static final long DELIVERY_SECONDS = 40;

    private Rebalance() {
    }

    static void two(String nameServers, String topic, String group, boolean orderly) throws Exception {
        Collected collected = new Collected();
        DefaultMQPushConsumer first = member(nameServers, topic, group, "first", orderly, collected);
        DefaultMQPushConsumer second = member(nameServers, topic, group, "second", orderly, collected);
        try {
            first.start();
            int queues = first.fetchSubscribeMessageQueues(topic).size();
            await("alone", first, second, () -> owned(first, topic).size() == queues);
            second.start();
            await("both", first, second, () -> owned(first, topic).size() == queues / 2
                && owned(second, topic).size() == queues - queues / 2);
            Sends.sync(nameServers, topic, MESSAGES);
            collected.await(MESSAGES, DELIVERY_SECONDS);
            second.shutdown();
            await("left", first, null, () -> owned(first, topic).size() == queues);
            Sends.sync(nameServers, topic, MESSAGES);
            collected.await(2 * MESSAGES, DELIVERY_SECONDS);
        } finally {
            first.shutdown();
            second.shutdown();
            collected.close();
        }
    }

    private static DefaultMQPushConsumer member(String nameServers, String topic, String group, String name,
        boolean orderly, Collected collected) throws Exception {
        DefaultMQPushConsumer consumer = Pushes.consumer(nameServers, group);
        consumer.setInstanceName(name + "-" + System.nanoTime());
        consumer.subscribe(topic, "*");
        if (orderly) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                messages.forEach(it -> collected.add(Pulls.found("consumed", it).with("member", name), it));
                return ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(it -> collected.add(Pulls.found("consumed", it).with("member", name), it));
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
        return consumer;
    }

    private static Set<Integer> owned(DefaultMQPushConsumer consumer, String topic) {
        Set<Integer> queues = new TreeSet<>();
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable()
            .keySet()) {
            if (queue.getTopic().equals(topic)) {
                queues.add(queue.getQueueId());
            }
        }
        return queues;
    }

    private static void await(String stage, DefaultMQPushConsumer first, DefaultMQPushConsumer second,
        BooleanSupplier reached) throws InterruptedException {
        long started = System.nanoTime();
        long deadline = started + TimeUnit.SECONDS.toNanos(Collected.LIMIT_SECONDS);
        while (!reached.getAsBoolean() && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        String topic = first.getDefaultMQPushConsumerImpl().getSubscriptionInner().keySet().stream()
            .filter(name -> !name.startsWith("%RETRY%")).findFirst().orElseThrow();
        Lines.event("shared").with("stage", stage).with("reached", reached.getAsBoolean())
            .with("took_ms", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started))
            .with("first", owned(first, topic))
            .with("second", second == null ? Set.of() : owned(second, topic)).print();
    }
}
