package ternmq.bench;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** One message at a time, awaited. */
final class SyncSends implements Sends.Way {
    @Override
    public int send(DefaultMQProducer producer, Plan plan, Tally tally, long number) throws Exception {
        long since = System.nanoTime();
        tally.answered(producer.send(plan.message(number)), new long[] {number}, since);
        return 1;
    }
}
