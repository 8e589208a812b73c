package ternmq.bench;

import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** A send at fixed times, whether or not the earlier ones are answered: a slow answer must not thin out the load. */
final class SteadySends implements Sends.Way {
    private static final int MOST = 1 << 16;
    private final Semaphore room = new Semaphore(MOST);
    private final long every;
    private long due;

    SteadySends(Plan plan) {
        every = 1_000_000_000L / plan.number("rate", 500);
    }

    @Override
    public int send(DefaultMQProducer producer, Plan plan, Tally tally, long number) throws Exception {
        due = due == 0 ? System.nanoTime() : due + every;
        for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
        room.acquire();
        // Counted from the time at which it should have been sent.
        producer.send(plan.message(number, due), new AsyncSends.Answer(tally, room, number, due));
        return 1;
    }

    @Override
    public void drain() throws InterruptedException {
        room.acquire(MOST);
    }
}
