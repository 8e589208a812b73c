package ternmq.battery;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.consumer.store.RemoteBrokerOffsetStore;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumer offsets (14, 15) and the bounds of a queue (29 to 32), each asked through the client's own calls. */
final class Offsets {
    private Offsets() {
    }

    static void all(String nameServers, String topic) throws Exception {
        String group = "battery-offsets-" + System.nanoTime();
        DefaultMQPullConsumer consumer = Pulls.consumer(nameServers, group);
        try {
            RemoteBrokerOffsetStore store =
                (RemoteBrokerOffsetStore) consumer.getDefaultMQPullConsumerImpl().getOffsetStore();
            for (MessageQueue queue : Pulls.queues(consumer, topic)) {
                long min = consumer.minOffset(queue);
                long max = consumer.maxOffset(queue);
                long earliest = consumer.earliestMsgStoreTime(queue);
                Lines.event("bounds").with("broker", queue.getBrokerName()).with("queue", queue.getQueueId())
                    .with("min", min).with("max", max).with("earliest_ms", earliest)
                    .with("at_zero", consumer.searchOffset(queue, 0))
                    .with("at_earliest", consumer.searchOffset(queue, earliest))
                    .with("at_future", consumer.searchOffset(queue, System.currentTimeMillis() + 3_600_000)).print();

                // Who commits has pulled: the broker learns of a group by its first pull or heartbeat, and refuses
                // offsets of groups that it does not know.
                consumer.pull(queue, "*", min, 1);
                long unknown = store.readOffset(queue, ReadOffsetType.READ_FROM_STORE);
                store.updateConsumeOffsetToBroker(queue, max, false);
                long stored = store.readOffset(queue, ReadOffsetType.READ_FROM_STORE);
                store.updateConsumeOffsetToBroker(queue, min, false);
                long lowered = store.readOffset(queue, ReadOffsetType.READ_FROM_STORE);
                // The form consumers use in daily life has no answer, so a second one asks until it shows.
                store.updateConsumeOffsetToBroker(queue, max, true);
                long oneWay = lowered;
                long deadline = System.nanoTime() + 5_000_000_000L;
                while (oneWay != max && System.nanoTime() < deadline) {
                    oneWay = store.readOffset(queue, ReadOffsetType.READ_FROM_STORE);
                }
                Lines.event("committed").with("broker", queue.getBrokerName()).with("queue", queue.getQueueId())
                    .with("min", min).with("max", max).with("unknown", unknown).with("stored", stored)
                    .with("lowered", lowered).with("one_way", oneWay).print();
            }
            Lines.event("group").with("group", group).print();
        } finally {
            consumer.shutdown();
        }
    }

    /** What a group has committed, queue by queue: -1 where it has no offset. */
    static void committed(String nameServers, String topic, String group) throws Exception {
        DefaultMQPullConsumer consumer = Pulls.consumer(nameServers, group);
        try {
            RemoteBrokerOffsetStore store =
                (RemoteBrokerOffsetStore) consumer.getDefaultMQPullConsumerImpl().getOffsetStore();
            for (MessageQueue queue : Pulls.queues(consumer, topic)) {
                Lines.event("committed").with("broker", queue.getBrokerName()).with("queue", queue.getQueueId())
                    .with("offset", store.readOffset(queue, ReadOffsetType.READ_FROM_STORE)).print();
            }
        } finally {
            consumer.shutdown();
        }
    }

    /** Search by time: the offset found for a store time must be that of the first message stored then or later. */
    static void search(String nameServers, String topic, int queueId, long timestamp) throws Exception {
        DefaultMQPullConsumer consumer = Pulls.consumer(nameServers, "battery-reader");
        try {
            for (MessageQueue queue : Pulls.queues(consumer, topic)) {
                if (queue.getQueueId() == queueId) {
                    Lines.event("searched").with("queue", queueId).with("timestamp", timestamp)
                        .with("queue_offset", consumer.searchOffset(queue, timestamp)).print();
                }
            }
        } finally {
            consumer.shutdown();
        }
    }
}
