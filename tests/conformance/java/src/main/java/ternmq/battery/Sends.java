package ternmq.battery;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** The four ways to send, and topic creation. Each line holds what went in and what the broker answered. */
final class Sends {
    private Sends() {
    }

    static void createTopic(String nameServers, String topic, int queues) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        newTopic(producer, topic, queues);
        Lines.event("topic").with("topic", topic).with("queues", queues).print();
    }

    /** The one call of the battery whose parameters differ between 4.9 and 5.x: attributes came with 5.0. */
    private static void newTopic(DefaultMQProducer producer, String topic, int queues) throws Exception {
        try {
            DefaultMQProducer.class.getMethod("createTopic", String.class, String.class, int.class, Map.class)
                .invoke(producer, "TBW102", topic, queues, null);
        } catch (NoSuchMethodException before5) {
            DefaultMQProducer.class.getMethod("createTopic", String.class, String.class, int.class)
                .invoke(producer, "TBW102", topic, queues);
        }
    }

    static void sync(String nameServers, String topic, int count) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
        for (int number = 0; number < count; number++) {
            Message message = Samples.message(topic, number);
            Map<String, Object> sent = Samples.describe(message);
            // Every second message goes to a queue of our choice, the others to the client's.
            SendResult result = number % 2 == 0 ? producer.send(message)
                : producer.send(message, queues.get(number % queues.size()));
            answered("sync", number, sent, result);
        }
    }

    /** Messages that the broker holds back for the time of a delay level. */
    static void delayed(String nameServers, String topic, int count, int level) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        for (int number = 0; number < count; number++) {
            Message message = Samples.message(topic, number);
            Map<String, Object> sent = Samples.describe(message);
            message.setDelayTimeLevel(level);
            answered("delayed", number, sent, producer.send(message));
        }
    }

    /** The first send to a topic that nobody has made: the broker makes it from the template topic. */
    static void unknownTopic(String nameServers, String topic) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        Message message = Samples.message(topic, 0);
        Map<String, Object> sent = Samples.describe(message);
        answered("sync", 0, sent, producer.send(message));
    }

    static void async(String nameServers, String topic, int count) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        CountDownLatch open = new CountDownLatch(count);
        for (int number = 0; number < count; number++) {
            Message message = Samples.message(topic, number);
            Map<String, Object> sent = Samples.describe(message);
            int index = number;
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    answered("async", index, sent, result);
                    open.countDown();
                }

                @Override
                public void onException(Throwable failure) {
                    failed("async", index, failure);
                    open.countDown();
                }
            });
        }
        if (!open.await(30, TimeUnit.SECONDS)) {
            Lines.event("unanswered").with("how", "async").with("count", open.getCount()).print();
        }
    }

    static void oneWay(String nameServers, String topic, int count) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        for (int number = 0; number < count; number++) {
            Message message = Samples.message(topic, number);
            Map<String, Object> sent = Samples.describe(message);
            producer.sendOneway(message);
            Lines.event("sent").with("how", "oneway").with("number", number).with("in", sent)
                .with("id", message.getProperty("UNIQ_KEY")).print();
        }
        // Nothing tells when a one-way frame has left. A synchronous send on the same connections has to wait
        // behind them, one for each queue and so for each broker.
        for (MessageQueue queue : producer.fetchPublishMessageQueues(topic)) {
            Message last = new Message(topic, "FENCE", "fence".getBytes());
            producer.send(last, queue);
        }
    }

    static void batch(String nameServers, String topic, int count) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        List<Message> batch = new ArrayList<>();
        List<Map<String, Object>> sent = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            Message message = Samples.message(topic, number);
            message.setWaitStoreMsgOK(true);
            batch.add(message);
            sent.add(Samples.describe(message));
        }
        SendResult result = producer.send(batch);
        String[] ids = result.getMsgId().split(",");
        String[] offsetIds = result.getOffsetMsgId().split(",");
        for (int number = 0; number < count; number++) {
            Lines.event("sent").with("how", "batch").with("number", number).with("in", sent.get(number))
                .with("status", result.getSendStatus()).with("id", ids[number])
                .with("offset_id", offsetIds[number]).with("broker", result.getMessageQueue().getBrokerName())
                .with("queue", result.getMessageQueue().getQueueId())
                .with("queue_offset", result.getQueueOffset() + number).print();
        }
    }

    static void answered(String how, int number, Map<String, Object> sent, SendResult result) {
        Lines.event("sent").with("how", how).with("number", number).with("in", sent)
            .with("status", result.getSendStatus()).with("id", result.getMsgId())
            .with("offset_id", result.getOffsetMsgId()).with("broker", result.getMessageQueue().getBrokerName())
            .with("queue", result.getMessageQueue().getQueueId()).with("queue_offset", result.getQueueOffset())
            .with("region", result.getRegionId()).print();
    }

    static void failed(String how, int number, Throwable failure) {
        Integer code = null;
        if (failure instanceof MQBrokerException broker) {
            code = broker.getResponseCode();
        } else if (failure instanceof MQClientException client) {
            code = client.getResponseCode();
        }
        Lines.event("failed").with("how", how).with("number", number).with("class", failure.getClass().getSimpleName())
            .with("code", code).with("text", failure.getMessage()).print();
    }
}
