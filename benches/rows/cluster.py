"""Rows of our whole cluster: three NameServers and two groups of three, as `ternmq up` starts it."""

from benches.bench import Bench
from benches.figures import Figures
from benches.rows import java
from benches.servers.ours import ours

ROWS = ["up", "memory", "idle"]
GROUPS = 2


def run(bench: Bench) -> None:
    """Measure what was asked for."""
    if not bench.wants_any(ROWS):
        return
    bench.say("our servers, 3 NameServers and 2 groups of 3")
    with ours(bench.folder, groups=GROUPS) as servers:
        if bench.wants("up"):
            bench.add(Figures("up", servers.side, value=servers.up_seconds))
        if bench.wants("memory") and bench.has_java:
            for name in java.SENDS:
                bench.say(f"  {name} over both groups")
                loaded = java.send(bench, servers, name)
                if not loaded.is_whole:
                    bench.add(loaded)
            java.push(bench, servers)
            bench.add(java.memory(servers))
        if bench.wants("idle"):
            bench.add(java.idle(bench, servers))
