package ternmq.bench;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;

import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
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
        DefaultMQProducer producer = new DefaultMQProducer("bench-producer");
        producer.setNamesrvAddr(nameServers);
        producer.setPollNameServerInterval(number("poll-ms", 30_000));
        producer.start();
        return producer;
    }

    /** A message whose body begins with its number. */
    Message message(long number) {
        return new Message(topic, ByteBuffer.allocate(number("body", 1024)).putLong(number).array());
    }
}
