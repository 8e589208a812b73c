package ternmq.battery;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;

/** Messages that are refused again and again, until they lie in the dead-letter topic of their group. */
final class Retries {
    private static final int MAX_RETRIES = 2;
    private static final String POISON = "TagA";

    private Retries() {
    }

    /** Refuses every message of one tag, with a delay level of our choice, or 0 for the broker's. */
    static void concurrently(String nameServers, String topic, String group, int deliveries, int delayLevel)
        throws Exception {
        DefaultMQPushConsumer consumer = Pushes.consumer(nameServers, group);
        consumer.setMaxReconsumeTimes(MAX_RETRIES);
        consumer.subscribe(topic, "*");
        Collected collected = new Collected();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            var message = messages.get(0);
            collected.add(Pulls.found("consumed", message), message);
            if (!POISON.equals(message.getTags())) {
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            }
            context.setDelayLevelWhenNextConsume(delayLevel);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        Pushes.finish(consumer, collected, deliveries, 70);
    }

    /** The same in order: the queue waits, the client counts, and gives the message away at last. */
    static void orderly(String nameServers, String topic, String group, int deliveries) throws Exception {
        DefaultMQPushConsumer consumer = Pushes.consumer(nameServers, group);
        consumer.setMaxReconsumeTimes(MAX_RETRIES);
        consumer.setSuspendCurrentQueueTimeMillis(100);
        consumer.subscribe(topic, "*");
        Collected collected = new Collected();
        consumer.registerMessageListener((MessageListenerOrderly) (batch, context) -> {
            var message = batch.get(0);
            collected.add(Pulls.found("consumed", message), message);
            return POISON.equals(message.getTags()) ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT
                : ConsumeOrderlyStatus.SUCCESS;
        });
        Pushes.finish(consumer, collected, deliveries);
    }
}
