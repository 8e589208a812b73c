"""Rows of one cluster in one mode, the same for ours and for Apache's."""

import time

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
            java.warm_up(bench, servers)
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
