package ternmq.bench;

import java.util.ArrayList;
import java.util.List;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Several messages in one request, awaited. */
final class BatchSends implements Sends.Way {
    private final int size;

    BatchSends(Plan plan) {
        size = plan.number("batch", 32);
    }

    @Override
    public int send(DefaultMQProducer producer, Plan plan, Tally tally, long number) throws Exception {
        List<Message> messages = new ArrayList<>(size);
        long[] numbers = new long[size];
        for (int at = 0; at < size; at++) {
            numbers[at] = number + at;
            messages.add(plan.message(number + at));
        }
        long since = System.nanoTime();
        tally.answered(producer.send(messages), numbers, since);
        return size;
    }
}
