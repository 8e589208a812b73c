package ternmq.battery;

import java.io.IOException;
import java.nio.charset.StandardCharsets;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** What goes on until standard input ends, through whatever happens to the cluster meanwhile. */
final class Endless {
    private static volatile boolean running = true;

    private Endless() {
    }

    /** Sends one message after another. */
    static void producer(String nameServers, String topic) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        Thread watcher = new Thread(Endless::awaitEndOfInput);
        watcher.setDaemon(true);
        watcher.start();
        for (int number = 0; running; number++) {
            Message message = new Message(topic, "Long", "key-" + number,
                ("long " + number).getBytes(StandardCharsets.UTF_8));
            message.putUserProperty("number", String.valueOf(number));
            var sent = Samples.describe(message);
            Lines.event("invoked").with("number", number).with("at_ns", System.nanoTime()).print();
            try {
                SendResult result = producer.send(message);
                Sends.answered("long", number, sent, result);
            } catch (Exception failure) {
                Sends.failed("long", number, failure);
                // The client refuses at once while it knows no master: do not turn that into a busy loop.
                Thread.sleep(20);
            }
        }
    }

    /** Consumes whatever comes. */
    static void push(String nameServers, String topic, String group) throws Exception {
        DefaultMQPushConsumer consumer = Pushes.consumer(nameServers, group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> Pulls.found("consumed", message).print());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        try {
            awaitEndOfInput();
        } finally {
            consumer.shutdown();
        }
    }

    private static void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                continue;
            }
        } catch (IOException closed) {
            Lines.event("stdin").with("text", closed.getMessage()).print();
        }
        running = false;
    }
}
