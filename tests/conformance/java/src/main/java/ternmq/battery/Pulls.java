package ternmq.battery;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Reading with DefaultMQPullConsumer, which pulls with code 11 (the lite pull consumer uses 361). */
final class Pulls {
    private Pulls() {
    }

    static DefaultMQPullConsumer consumer(String nameServers, String group) throws MQClientException {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        consumer.setNamesrvAddr(nameServers);
        consumer.setInstanceName(Clients.instanceName(nameServers));
        consumer.setPollNameServerInterval(1000);
        consumer.start();
        return consumer;
    }

    static List<MessageQueue> queues(DefaultMQPullConsumer consumer, String topic) throws MQClientException {
        return new ArrayList<>(new TreeSet<>(consumer.fetchSubscribeMessageQueues(topic)));
    }

    /** Everything of a topic that the expression lets through, queue by queue from the first offset to the last. */
    static void all(String nameServers, String topic, String expression) throws Exception {
        DefaultMQPullConsumer consumer = consumer(nameServers, "battery-reader");
        try {
            for (MessageQueue queue : queues(consumer, topic)) {
                long end = consumer.maxOffset(queue);
                long next = consumer.minOffset(queue);
                Lines.event("queue").with("broker", queue.getBrokerName()).with("queue", queue.getQueueId())
                    .with("min", next).with("max", end).print();
                while (next < end) {
                    PullResult result = consumer.pull(queue, expression, next, 32);
                    if (result.getPullStatus() == PullStatus.FOUND) {
                        result.getMsgFoundList().forEach(message -> found("pulled", message).print());
                    }
                    if (result.getNextBeginOffset() <= next) {
                        answered("stuck", queue, next, result);
                        return;
                    }
                    next = result.getNextBeginOffset();
                }
            }
        } finally {
            consumer.shutdown();
        }
    }

    /** Pulls at the end, beyond it, and one that waits there until a message arrives. */
    static void edges(String nameServers, String topic) throws Exception {
        DefaultMQPullConsumer consumer = consumer(nameServers, "battery-reader");
        DefaultMQProducer producer = Clients.producer(nameServers);
        ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();
        try {
            MessageQueue queue = queues(consumer, topic).get(0);
            long end = consumer.maxOffset(queue);
            answered("at-end", queue, end, consumer.pull(queue, "*", end, 32));
            answered("beyond", queue, end + 1000, consumer.pull(queue, "*", end + 1000, 32));
            long started = System.nanoTime();
            later.schedule(() -> producer.send(new Message(topic, "wakes the pull".getBytes()), queue), 1000,
                TimeUnit.MILLISECONDS);
            PullResult woken = consumer.pullBlockIfNotFound(queue, "*", end, 32);
            Lines.event("woken").with("waited_ms", (System.nanoTime() - started) / 1_000_000)
                .with("status", woken.getPullStatus()).with("offset", end)
                .with("next", woken.getNextBeginOffset()).with("max", woken.getMaxOffset())
                .with("body", woken.getMsgFoundList() == null ? null : woken.getMsgFoundList().get(0).getBody()).print();
        } finally {
            later.shutdown();
            consumer.shutdown();
        }
    }

    private static void answered(String name, MessageQueue queue, long offset, PullResult result) {
        Lines.event(name).with("queue", queue.getQueueId()).with("offset", offset).with("status", result.getPullStatus())
            .with("next", result.getNextBeginOffset()).with("min", result.getMinOffset())
            .with("max", result.getMaxOffset()).print();
    }

    /** A message as it came out, with the place that it came from. */
    static Lines.Line found(String event, MessageExt message) {
        return Lines.event(event).with("out", Samples.describe(message))
            .with("id", MessageClientIDSetter.getUniqID(message)).with("message_id", message.getMsgId())
            .with("broker", message.getBrokerName()).with("queue", message.getQueueId())
            .with("queue_offset", message.getQueueOffset()).with("physical_offset", message.getCommitLogOffset())
            .with("born_ms", message.getBornTimestamp()).with("stored_ms", message.getStoreTimestamp())
            .with("born_host", message.getBornHostString()).with("store_host", String.valueOf(message.getStoreHost()))
            .with("body_crc", message.getBodyCRC()).with("attempts", message.getReconsumeTimes())
            .with("at_ms", System.currentTimeMillis());
    }
}
