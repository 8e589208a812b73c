"""Rows of the official Java client 5.5.0, 1 KiB: the same programs against Apache's servers and ours, each alone."""

from benches.bench import Bench
from benches.catalogue import JAVA
from benches.figures import APACHE, Figures
from benches.probes.idle import idle_percent
from benches.probes.processes import proportional_bytes, resident_bytes
from benches.rows import kills
from benches.rows.load import fill
from benches.servers.apache import apache
from benches.servers.ours import ours
from benches.servers.running import Servers

WARM_MS = 3_000
"""A JVM compiles what it runs often: the first seconds are sent, but not measured."""
BACKLOG = 200_000
SENDS: dict[str, dict[str, object]] = {
    "java-sync": {"scenario": "sync", "threads": 32},
    "java-async": {"scenario": "async", "in_flight": 1024},
    "java-batch": {"scenario": "batch", "threads": 8, "batch": 32},
    "java-steady": {"scenario": "steady", "rate": 500},
    "java-receipt": {"scenario": "receipt", "rate": 500},
}
GAP, WARM_UP = "java-gap", "warm-up"
RATED = [row.name for row in JAVA]
# Of Apache's cluster; ours are those of a larger one, in `rows.cluster`.
APACHE_SINGLE = ["up", "memory", "idle"]


def run_apache(bench: Bench) -> None:
    """Measure what was asked for on Apache's servers."""
    if not bench.wants_any([*RATED, GAP, *APACHE_SINGLE]) or not _has_java(bench):
        return
    bench.say("Apache's servers, 1 DLedger group of 3, under the official Java client")
    with apache(bench.folder) as servers:
        _all(bench, servers)


def run_ours(bench: Bench) -> None:
    """Measure what was asked for on our servers."""
    if not bench.wants_any([*RATED, GAP]) or not _has_java(bench):
        return
    bench.say("our servers, 1 group of 3, under the official Java client")
    with ours(bench.folder) as servers:
        _all(bench, servers)


def _has_java(bench: Bench) -> bool:
    if not bench.has_java:
        bench.say("java or mvn is not installed: no rows of the Java client, and none of Apache's servers")
    return bench.has_java


def _all(bench: Bench, servers: Servers) -> None:
    if bench.wants_any(RATED):
        warm_up(bench, servers)
    for name in SENDS:
        if bench.wants(name):
            bench.add(send(bench, servers, name))
    if bench.wants("java-push"):
        bench.add(push(bench, servers))
    if servers.side == APACHE:
        _single(bench, servers)
    if bench.wants(GAP):
        bench.add(gap(bench, servers))


def warm_up(bench: Bench, servers: Servers) -> None:
    """Load that nobody counts: a server in Java, too, is slow until what it runs often is compiled."""
    bench.say("  warming up the servers")
    half = int(500 * bench.warm_up)
    topic = bench.topic(servers, WARM_UP)
    for scenario, settings in (("async", {"in_flight": 256}), ("sync", {"threads": 32})):
        with bench.drivers.java(scenario, servers, topic, **settings, warm_ms=half, ms=1) as program:
            program.expect("ready")
            program.go_on()
            program.expect("measured")
            program.go_on()
            program.finish()


def send(bench: Bench, servers: Servers, name: str, seconds: float | None = None) -> Figures:
    """Send for the time of a row, and read everything back."""
    topic = bench.topic(servers, name)
    settings = dict(SENDS[name])
    scenario = str(settings.pop("scenario"))
    times = {"warm_ms": WARM_MS, "ms": int(1000 * (seconds or bench.seconds))}
    with bench.drivers.java(scenario, servers, topic, **settings, **times) as program:
        figures = bench.measured(program, servers, name, begins=True)
        program.go_on()
        program.finish()
    bench.drivers.read_back(servers, topic, figures)
    return figures


def push(bench: Bench, servers: Servers, count: int = BACKLOG) -> Figures:
    """Consume a backlog of so many messages with a new group."""
    topic = bench.topic(servers, "java-push")
    fill(bench, servers, topic, count, 1024)
    with bench.drivers.java("push", servers, topic, count=count) as program:
        figures, line = bench.measured_line(program, servers, "java-push", begins=True)
        program.go_on()
        program.finish()
    if line["again"]:
        figures.others["delivered twice"] = int(line["again"])
    bench.drivers.numbers(topic).unlink()
    return figures


def gap(bench: Bench, servers: Servers) -> Figures:
    """Kill masters under the load of a client that polls its routes each second."""
    topic = bench.topic(servers, GAP)
    # Apache's replicas take half a minute to come back.
    count = min(bench.kills, 2 if servers.side == APACHE else 5)
    with bench.drivers.java("gaps", servers, topic, threads=4, poll_ms=1000) as program:
        figures = kills.longest_gaps(bench, servers, program, GAP, count)
        program.close_input()
        figures.others = dict(program.expect("measured")["others"])
        program.finish()
    bench.drivers.read_back(servers, topic, figures, may_double=True)
    return figures


def _single(bench: Bench, servers: Servers) -> None:
    if bench.wants("up"):
        bench.add(Figures("up", servers.side, value=servers.up_seconds))
    if bench.wants("memory"):
        bench.add(memory(servers))
    if bench.wants("idle"):
        bench.add(idle(bench, servers))


def memory(servers: Servers) -> Figures:
    """Resident memory of all processes now."""
    pids = servers.pids
    figures = Figures("memory", servers.side, value=resident_bytes(pids) / 1e6, count=len(pids))
    figures.note = f"{proportional_bytes(pids) / 1e6:,.0f} MB with shared pages counted once, {len(pids)} processes"
    return figures


def idle(bench: Bench, servers: Servers) -> Figures:
    """CPU of a broker that has nothing to do, percent of a core."""
    bench.say("  leaving the servers alone")
    return Figures("idle", servers.side, value=idle_percent(servers.broker_pids))
