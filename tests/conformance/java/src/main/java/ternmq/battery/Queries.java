package ternmq.battery;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Looking messages up: by key, by unique id, by offset id. */
final class Queries {
    private static final long HOUR_MS = 3_600_000;

    private Queries() {
    }

    static void keys(String nameServers, String topic, String[] keys) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        long now = System.currentTimeMillis();
        for (String key : keys) {
            try {
                for (MessageExt message : producer.queryMessage(topic, key, 32, now - HOUR_MS, now + HOUR_MS)
                    .getMessageList()) {
                    Pulls.found("queried", message).with("asked", key).print();
                }
            } catch (MQClientException failure) {
                notFound(key, failure.getResponseCode());
            }
        }
    }

    /** By ids of either kind: the client tells them apart itself. */
    static void view(String nameServers, String topic, String[] ids) throws Exception {
        DefaultMQProducer producer = Clients.producer(nameServers);
        for (String id : ids) {
            try {
                MessageExt message = producer.viewMessage(topic, id);
                if (message == null) {
                    notFound(id, 0);
                } else {
                    Pulls.found("viewed", message).with("asked", id).print();
                }
            } catch (MQBrokerException failure) {
                notFound(id, failure.getResponseCode());
            } catch (MQClientException failure) {
                notFound(id, failure.getResponseCode());
            }
        }
    }

    private static void notFound(String asked, int code) {
        Lines.event("not-found").with("asked", asked).with("code", code).print();
    }
}
