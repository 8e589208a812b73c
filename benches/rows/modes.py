"""Rows of one cluster in one mode, the same for ours and for Apache's."""

import time
from collections.abc import Sequence

from benches.bench import Bench
from benches.figures import Figures
from benches.rows import java, kills, load
from benches.rows.load import fill
from benches.servers.running import Servers
from benches.setups import Setup

BACKLOG = 50_000
# Read at 8 queues x 32 messages in 50 ms, so that the master dies in the middle of it.
SLOW_BACKLOG = 40_000
PULL_MS = 50
WARM_ROUND_SECONDS = 4
WARM_ROUNDS = 2
WARMER = 1.1
READ_WITHIN = 90.0
LOADS = ("load-1", "load-32", "load-256")
SENDS = ("java-sync", "java-async", "java-steady", "java-receipt")
READ_GAP = "read-gap"
ROWS = ("up", *SENDS, "java-push", *LOADS, "memory", java.GAP, READ_GAP)


def run(bench: Bench, setup: Setup) -> None:
    """Measure what was asked for."""
    bench.say(f"{setup}: 0 means {setup.promise}")
    with setup.running(bench.folder) as servers:
        if bench.wants("up"):
            bench.add(Figures("up", servers.side, value=servers.up_seconds))
        topics = [row for row in (*SENDS, "java-push", *LOADS, READ_GAP, java.GAP) if bench.wants(row)]
        bench.topics(servers, [*topics, java.WARM_UP])
        if bench.wants_any([*SENDS, "java-push"]):
            warm_up(bench, servers)
        for name in SENDS:
            if bench.wants(name):
                bench.add(java.send(bench, servers, name))
        if bench.wants("java-push"):
            bench.add(java.push(bench, servers, BACKLOG))
        for name in LOADS:
            if bench.wants(name):
                bench.add(load.send(bench, servers, name, load.SENDS[name]))
        if bench.wants("memory"):
            bench.add(java.memory(servers))
        if setup.mode == "raft" and bench.wants(java.GAP):
            bench.add(java.gap(bench, servers))
        if setup.is_pair and bench.wants(READ_GAP):
            bench.add(read_gap(bench, servers))


def warm_up(bench: Bench, servers: Servers) -> None:
    """Send by our generator, which leaves the cores to the servers, until a round is hardly faster than those before.

    A JVM that has not compiled yet is many times slower, and on a slow machine it compiles for minutes.
    """
    topic, end = bench.topic(servers, java.WARM_UP), time.monotonic() + bench.warm_up
    rates: list[float] = []
    while not is_warm(rates) and time.monotonic() < end:
        options = ["--connections", 32, "--in-flight", 2, "--body", 1024, "--seconds", WARM_ROUND_SECONDS]
        with bench.drivers.load("send", servers, topic, *options, "--save", bench.drivers.numbers(topic)) as program:
            program.expect("ready")
            program.go_on()
            line = program.expect("measured")
            program.go_on()
            program.finish()
        bench.drivers.numbers(topic).unlink(missing_ok=True)
        rates.append(int(line["count"]) / float(line["seconds"]))
    bench.say(f"  warmed up, messages a second in each round: {', '.join(f'{rate:,.0f}' for rate in rates)}")


def is_warm(rates: Sequence[float]) -> bool:
    """Whether the last two rounds are hardly faster than the best one before them."""
    return len(rates) > WARM_ROUNDS and max(rates[-WARM_ROUNDS:]) < WARMER * max(rates[:-WARM_ROUNDS])


def read_gap(bench: Bench, servers: Servers) -> Figures:
    """Kill the master while a push consumer reads a backlog: how long nothing comes, and whether all comes."""
    topic = bench.topic(servers, READ_GAP)
    fill(bench, servers, topic, SLOW_BACKLOG, 128)
    bench.drivers.numbers(topic).unlink()
    with bench.drivers.java("reads", servers, topic, poll_ms=1000, pull_ms=PULL_MS) as program:
        program.expect("ready")
        kills.until_flowing(program)
        kills.ask_gap(program)
        master = servers.subject.master()
        if master is None:
            raise LookupError("no NameServer shows a master")
        servers.subject.identity(master).kill()
        longest = kills.until_flowing(program) / 1000
        end = time.monotonic() + READ_WITHIN
        while (read := int(kills.ask_gap(program)["distinct"])) < SLOW_BACKLOG and time.monotonic() < end:
            time.sleep(kills.ASK_EVERY)
        program.finish()
    return Figures(READ_GAP, servers.side, count=read, value=longest, missing=SLOW_BACKLOG - read)
