package ternmq.battery;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;

/** What listeners were given, printed as it comes; a scenario waits here for what it expects. */
final class Collected {
    static final long LIMIT_SECONDS = 30;
    /** How long nothing may come after the last expected message, so that one too many shows. */
    private static final long QUIET_MS = 300;

    private final Set<String> deliveries = new HashSet<>();
    private boolean open = true;

    /** Print and count; nothing is printed once the scenario has ended, where it would stand among another's lines. */
    synchronized void add(Lines.Line line, MessageExt message) {
        if (open) {
            line.print();
            deliveries.add(MessageClientIDSetter.getUniqID(message) + "/" + message.getReconsumeTimes());
            notifyAll();
        }
    }

    /** Wait for as many different deliveries (message and attempt), and then a little longer; says {@code timeout} if they do not come. */
    synchronized void await(int count, long seconds) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (deliveries.size() < count) {
            long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (left <= 0) {
                Lines.event("timeout").with("expected", count).with("came", deliveries.size()).print();
                return;
            }
            wait(left);
        }
        quiet(QUIET_MS);
    }

    /** Wait until nothing has come for a while. */
    synchronized void quiet(long ms) throws InterruptedException {
        int before = -1;
        while (before != deliveries.size()) {
            before = deliveries.size();
            long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ms);
            for (long left = ms; left > 0; left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime())) {
                wait(left);
            }
        }
    }

    synchronized void close() {
        open = false;
    }
}
