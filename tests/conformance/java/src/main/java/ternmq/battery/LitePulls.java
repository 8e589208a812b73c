package ternmq.battery;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** DefaultLitePullConsumer, which pulls with code 361: as a member of a group, and with a queue of its own choice. */
final class LitePulls {
    private LitePulls() {
    }

    private static DefaultLitePullConsumer consumer(String nameServers, String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        consumer.setNamesrvAddr(nameServers);
        consumer.setInstanceName(Clients.instanceName(nameServers));
        consumer.setPollNameServerInterval(1000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        return consumer;
    }

    /** The group decides which queues; offsets are committed at the end. */
    static void subscribed(String nameServers, String topic, String group, String expression, int count)
        throws Exception {
        DefaultLitePullConsumer consumer = consumer(nameServers, group);
        consumer.subscribe(topic, expression);
        consumer.start();
        try {
            poll(consumer, "polled", count);
            consumer.commitSync();
        } finally {
            consumer.shutdown();
        }
    }

    /** The only queue of a topic: as it is assigned, from its beginning, from an offset, from a time, and from its end. */
    static void assigned(String nameServers, String topic, String group, int count, int seek) throws Exception {
        DefaultLitePullConsumer consumer = consumer(nameServers, group);
        consumer.start();
        try {
            MessageQueue one = consumer.fetchMessageQueues(topic).iterator().next();
            consumer.assign(List.of(one));
            // To the end first: what is on its way when a client seeks may come beside what it sought.
            poll(consumer, "assigned", count);
            consumer.seekToBegin(one);
            List<MessageExt> all = poll(consumer, "from-begin", count);
            consumer.seek(one, seek);
            poll(consumer, "from-offset", count - seek);
            MessageExt middle = all.get(all.size() / 2);
            long found = consumer.offsetForTimestamp(one, middle.getStoreTimestamp());
            Lines.event("searched").with("queue", one.getQueueId()).with("timestamp", middle.getStoreTimestamp())
                .with("queue_offset", found).print();
            consumer.seek(one, found);
            poll(consumer, "from-time", count - (int) found);
            consumer.seekToEnd(one);
            poll(consumer, "from-end", 0);
        } finally {
            consumer.shutdown();
        }
    }

    /** Poll for as many messages, and then once more: one too many would show. */
    private static List<MessageExt> poll(DefaultLitePullConsumer consumer, String event, int count) {
        List<MessageExt> all = new ArrayList<>();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Collected.LIMIT_SECONDS);
        for (boolean last = false; !last; ) {
            last = all.size() >= count;
            List<MessageExt> some = consumer.poll(last ? 300 : 500);
            some.forEach(message -> Pulls.found(event, message).print());
            all.addAll(some);
            if (!last && System.nanoTime() > deadline) {
                Lines.event("timeout").with("expected", count).with("came", all.size()).print();
                break;
            }
        }
        return all;
    }
}
