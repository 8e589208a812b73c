package ternmq.battery;

import java.util.HashMap;
import java.util.Map;

import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/**
 * What the clients of one process share: an instance, which holds their connections, for each list of NameServers.
 *
 * <p>The producer keeps the instance open until the process ends, as in an application that sends and consumes. An
 * instance of 5.x that is shut down waits for a thread of its own that sleeps for up to 3 s.
 */
final class Clients {
    private static final Map<String, DefaultMQProducer> PRODUCERS = new HashMap<>();

    private Clients() {
    }

    static String instanceName(String nameServers) {
        return "battery-" + Integer.toHexString(nameServers.hashCode());
    }

    /** The only producer; nobody shuts it down. */
    static synchronized DefaultMQProducer producer(String nameServers) throws MQClientException {
        DefaultMQProducer producer = PRODUCERS.get(nameServers);
        if (producer == null) {
            producer = new DefaultMQProducer("battery-producer");
            producer.setNamesrvAddr(nameServers);
            producer.setInstanceName(instanceName(nameServers));
            producer.setPollNameServerInterval(1000);
            // One attempt is one line: a retry inside the client would hide a message that was stored twice.
            producer.setRetryTimesWhenSendFailed(0);
            producer.setRetryTimesWhenSendAsyncFailed(0);
            producer.start();
            PRODUCERS.put(nameServers, producer);
        }
        return producer;
    }
}
