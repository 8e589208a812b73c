package ternmq.battery;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Sends one message after another until standard input ends, through whatever happens to the cluster meanwhile. */
final class LongProducer {
    private LongProducer() {
    }

    static void run(String nameServers, String topic) throws Exception {
        DefaultMQProducer producer = Sends.producer(nameServers);
        AtomicBoolean running = new AtomicBoolean(true);
        Thread stop = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (java.io.IOException closed) {
                Lines.event("stdin").with("text", closed.getMessage()).print();
            }
            running.set(false);
        });
        stop.setDaemon(true);
        stop.start();
        try {
            for (int number = 0; running.get(); number++) {
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
        } finally {
            producer.shutdown();
        }
    }
}
