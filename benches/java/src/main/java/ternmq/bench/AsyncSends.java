package ternmq.bench;

import java.util.concurrent.Semaphore;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;

/** A fixed number of sends in flight. */
final class AsyncSends implements Sends.Way {
    private final int most;
    private final Semaphore room;

    AsyncSends(Plan plan) {
        most = plan.number("in-flight", 1024);
        room = new Semaphore(most);
    }

    @Override
    public int send(DefaultMQProducer producer, Plan plan, Tally tally, long number) throws Exception {
        room.acquire();
        long since = System.nanoTime();
        try {
            producer.send(plan.message(number), new Answer(tally, room, number, since));
        } catch (Exception refused) {
            room.release();
            throw refused;
        }
        return 1;
    }

    @Override
    public void drain() throws InterruptedException {
        room.acquire(most);
    }

    /** Counts one answer and gives its place back. */
    record Answer(Tally tally, Semaphore room, long number, long since) implements SendCallback {
        @Override
        public void onSuccess(SendResult result) {
            tally.answered(result, new long[] {number}, since);
            room.release();
        }

        @Override
        public void onException(Throwable failure) {
            tally.failed(failure, 1);
            room.release();
        }
    }
}
