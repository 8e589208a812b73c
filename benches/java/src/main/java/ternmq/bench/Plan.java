package ternmq.bench;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** What to do. Everything that is not named here is left as the client has it. */
record Plan(String nameServers, String topic, Map<String, String> settings) {
    int number(String name, int otherwise) {
        String value = settings.get(name);
        return value == null ? otherwise : Integer.parseInt(value);
    }

    Path numbers() {
        return Path.of(settings.get("numbers"));
    }

    DefaultMQProducer producer() throws MQClientException {
        return producer("bench-producer");
    }

    /** A producer beside another one of the same process, of a group of its own. */
    DefaultMQProducer producer(String group) throws MQClientException {
        DefaultMQProducer producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(nameServers);
        producer.setPollNameServerInterval(number("poll-ms", 30_000));
        producer.start();
        return producer;
    }

    /** A consumer of the topic, of a new group that begins with its first message. */
    DefaultMQPushConsumer consumer(MessageListenerConcurrently listener) throws MQClientException {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("bench-" + topic);
        consumer.setNamesrvAddr(nameServers);
        consumer.setPollNameServerInterval(number("poll-ms", 30_000));
        consumer.setPullInterval(number("pull-ms", 0));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(listener);
        return consumer;
    }

    /** A message whose body begins with its number. */
    Message message(long number) {
        return message(number, 0);
    }

    /** A message whose body begins with its number and the time at which it was due. */
    Message message(long number, long due) {
        return new Message(topic, ByteBuffer.allocate(number("body", 1024)).putLong(number).putLong(due).array());
    }
}
