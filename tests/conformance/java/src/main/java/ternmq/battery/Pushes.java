package ternmq.battery;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** DefaultMQPushConsumer, each message once. Retries are in {@link Retries}. */
final class Pushes {
    private Pushes() {
    }

    static DefaultMQPushConsumer consumer(String nameServers, String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServers);
        consumer.setInstanceName(Clients.instanceName(nameServers));
        consumer.setPollNameServerInterval(1000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    /**
     * Consumes {@code count} messages.
     *
     * @param where {@code first}, {@code last}, or a time as {@code yyyyMMddHHmmss}.
     */
    static void concurrently(String nameServers, String topic, String group, String expression, String where,
        int count) throws Exception {
        DefaultMQPushConsumer consumer = consumer(nameServers, group);
        startAt(consumer, where);
        consumer.subscribe(topic, expression);
        Collected collected = new Collected();
        collectAll(consumer, collected);
        finish(consumer, collected, count);
    }

    /**
     * Broadcasting: the offsets lie with the client, so no broker has an opinion on where a new group begins.
     *
     * @param old how many messages that are there already are expected; as many new ones are sent meanwhile.
     */
    static void broadcast(String nameServers, String topic, String group, String where, int old, int fresh)
        throws Exception {
        DefaultMQPushConsumer consumer = consumer(nameServers, group);
        startAt(consumer, where);
        // The enum lies in different packages in 4.9 and 5.x.
        consumer.setMessageModel(Enum.valueOf(consumer.getMessageModel().getDeclaringClass(), "BROADCASTING"));
        consumer.subscribe(topic, "*");
        Collected collected = new Collected();
        collectAll(consumer, collected);
        consumer.start();
        try {
            int queues = consumer.fetchSubscribeMessageQueues(topic).size();
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Collected.LIMIT_SECONDS);
            // A queue is taken with the offset where its reading begins; only what is sent after that is new.
            while (taken(consumer) < queues && System.nanoTime() < deadline) {
                Thread.sleep(10);
            }
            Sends.sync(nameServers, topic, fresh);
            collected.await(old + fresh, Collected.LIMIT_SECONDS);
        } finally {
            consumer.shutdown();
            collected.close();
        }
    }

    private static int taken(DefaultMQPushConsumer consumer) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().size();
    }

    private static void startAt(DefaultMQPushConsumer consumer, String where) {
        if (where.equals("last")) {
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        } else if (!where.equals("first")) {
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
            consumer.setConsumeTimestamp(where);
        }
    }

    private static void collectAll(DefaultMQPushConsumer consumer, Collected collected) {
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> collected.add(Pulls.found("consumed", message), message));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
    }

    /** Consumes {@code count} messages queue by queue, and holds a queue up once at its {@code stumble}-th message. */
    static void orderly(String nameServers, String topic, String group, int count, int stumble) throws Exception {
        DefaultMQPushConsumer consumer = consumer(nameServers, group);
        consumer.setSuspendCurrentQueueTimeMillis(100);
        consumer.subscribe(topic, "*");
        Collected collected = new Collected();
        AtomicInteger inside = new AtomicInteger();
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageExt message = messages.get(0);
            inside.incrementAndGet();
            boolean stumbles = message.getQueueOffset() == stumble && message.getReconsumeTimes() == 0;
            collected.add(Pulls.found(stumbles ? "suspended" : "consumed", message), message);
            return stumbles ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        finish(consumer, collected, count);
        Lines.event("listener").with("calls", inside.get()).print();
    }

    /** A consumer by SQL: the client asks each broker first whether it takes such an expression (46). */
    static void bySql(String nameServers, String topic, String group) throws Exception {
        DefaultMQPushConsumer consumer = consumer(nameServers, group);
        consumer.subscribe(topic, MessageSelector.bySql("number > 3"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) ->
            ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        try {
            consumer.start();
            Lines.event("started").print();
        } catch (MQClientException refused) {
            Lines.event("refused").with("text", refused.getErrorMessage()).with("whole", refused.getMessage()).print();
        } finally {
            consumer.shutdown();
        }
    }

    static void finish(DefaultMQPushConsumer consumer, Collected collected, int count) throws Exception {
        finish(consumer, collected, count, Collected.LIMIT_SECONDS);
    }

    static void finish(DefaultMQPushConsumer consumer, Collected collected, int count, long seconds) throws Exception {
        consumer.start();
        try {
            if (count > 0) {
                collected.await(count, seconds);
            } else {
                // Nothing is expected; what comes has come by then.
                collected.quiet(2_500);
            }
        } finally {
            consumer.shutdown();
            collected.close();
        }
    }
}
