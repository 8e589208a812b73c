package ternmq.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** Threads that send: first unmeasured until the JVM is warm, then for the window. */
final class Sends {
    /** The numbers of a thread start here, so that no two threads use one number. */
    static final long PER_THREAD = 1L << 40;

    private Sends() {
    }

    /** One way to send. */
    interface Way {
        /** Sends the next message or batch of a thread, whose first number is given; returns how many it took. */
        int send(DefaultMQProducer producer, Plan plan, Tally tally, long number) throws Exception;

        /** Waits until everything is answered. */
        default void drain() throws InterruptedException {
        }
    }

    static void run(Plan plan, Way way) throws Exception {
        Tally tally = new Tally();
        run(plan, way, tally, tally);
    }

    /**
     * The same where the sends are not what is measured.
     *
     * @param tally what came of the sends
     * @param measured what has a window
     */
    static void run(Plan plan, Way way, Tally tally, Tally measured) throws Exception {
        DefaultMQProducer producer = plan.producer();
        // Fetches the route, so that the first sends do not wait for it.
        producer.fetchPublishMessageQueues(plan.topic());
        Steps.say("ready", "");
        Steps.told();
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(plan.number("warm-ms", 0) + plan.number("ms", 0));
        List<Thread> threads = start(plan, producer, way, tally, end);
        Thread.sleep(plan.number("warm-ms", 0));
        measured.counting(true);
        long begin = System.nanoTime();
        Steps.say("begin", "");
        for (Thread thread : threads) {
            thread.join();
        }
        way.drain();
        double seconds = (System.nanoTime() - begin) / 1e9;
        measured.counting(false);
        Steps.say("measured", measured.line(seconds));
        tally.save(plan.numbers());
        Steps.told();
        producer.shutdown();
    }

    private static List<Thread> start(Plan plan, DefaultMQProducer producer, Way way, Tally tally, long end) {
        List<Thread> threads = new ArrayList<>();
        for (int at = 0; at < plan.number("threads", 1); at++) {
            long first = at * PER_THREAD;
            Thread thread = new Thread(() -> {
                long number = first;
                while (System.nanoTime() < end) {
                    try {
                        number += way.send(producer, plan, tally, number);
                    } catch (Exception failure) {
                        tally.failed(failure, 1);
                        // Its outcome may be unknown: the number is not used again.
                        number += plan.number("batch", 1);
                    }
                }
            });
            threads.add(thread);
            thread.start();
        }
        return threads;
    }
}
