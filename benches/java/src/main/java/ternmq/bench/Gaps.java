package ternmq.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/**
 * Sends through kills of the master. Each line on standard input answers with the longest time without an
 * acknowledgement since the line before; the end of the input ends the run.
 */
final class Gaps {
    private Gaps() {
    }

    static void run(Plan plan) throws Exception {
        DefaultMQProducer producer = plan.producer();
        producer.fetchPublishMessageQueues(plan.topic());
        Tally tally = new Tally();
        AtomicBoolean running = new AtomicBoolean(true);
        List<Thread> threads = new ArrayList<>();
        for (int at = 0; at < plan.number("threads", 4); at++) {
            long first = at * Sends.PER_THREAD;
            Thread thread = new Thread(() -> send(producer, plan, tally, running, first));
            threads.add(thread);
            thread.start();
        }
        Steps.say("ready", "");
        while (Steps.told() != null) {
            Steps.say("gap", tally.gap());
        }
        running.set(false);
        for (Thread thread : threads) {
            thread.join();
        }
        tally.save(plan.numbers());
        Steps.say("measured", tally.line(0));
        producer.shutdown();
    }

    private static void send(DefaultMQProducer producer, Plan plan, Tally tally, AtomicBoolean running, long first) {
        for (long number = first; running.get(); number++) {
            try {
                tally.answered(producer.send(plan.message(number)), new long[] {number}, System.nanoTime());
            } catch (Exception failure) {
                tally.failed(failure, 1);
                pause();
            }
        }
    }

    /** The client refuses at once while it knows no master: that must not take the cores from an election. */
    private static void pause() {
        try {
            Thread.sleep(10);
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }
}
