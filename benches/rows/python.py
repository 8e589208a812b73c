"""Rows of our Python client against our servers, 128 B, in a process of its own."""

from benches.bench import Bench
from benches.catalogue import PYTHON
from benches.figures import Figures
from benches.rows import kills
from benches.rows.load import fill
from benches.servers.ours import ours
from benches.servers.running import Servers

BACKLOG = 500_000
SENDS = {"python-send": "send", "python-post": "post"}
BATCHES, GAP = "python-batches", "python-gap"
GAP_TASKS = 4


def run(bench: Bench) -> None:
    """Measure what was asked for."""
    if not bench.wants_any([*(row.name for row in PYTHON), GAP]):
        return
    bench.say("our servers, 1 group of 3, under our Python client")
    with ours(bench.folder) as servers:
        for name, scenario in SENDS.items():
            if bench.wants(name):
                bench.add(_send(bench, servers, name, scenario))
        if bench.wants(BATCHES):
            bench.add(_batches(bench, servers))
        if bench.wants(GAP):
            bench.add(_gap(bench, servers))


def _send(bench: Bench, servers: Servers, name: str, scenario: str) -> Figures:
    topic = bench.topic(servers, name)
    with bench.drivers.python(scenario, servers, topic, "--seconds", bench.seconds) as program:
        figures = bench.measured(program, servers, name)
        program.go_on()
        program.finish()
    # The client sends again what was not answered.
    bench.drivers.read_back(servers, topic, figures, may_double=bool(figures.others))
    return figures


def _batches(bench: Bench, servers: Servers) -> Figures:
    topic = bench.topic(servers, BATCHES)
    fill(bench, servers, topic, BACKLOG, 128)
    with bench.drivers.python("batches", servers, topic, "--count", BACKLOG) as program:
        figures, line = bench.measured_line(program, servers, BATCHES, begins=True)
        program.go_on()
        program.finish()
    figures.missing = BACKLOG - int(line["distinct"])
    figures.doubled = int(line["records"]) - int(line["distinct"])
    return figures


def _gap(bench: Bench, servers: Servers) -> Figures:
    topic = bench.topic(servers, GAP)
    with bench.drivers.python("gaps", servers, topic, "--tasks", GAP_TASKS) as program:
        figures = kills.longest_gaps(bench, servers, program, GAP, bench.kills)
        program.close_input()
        figures.others = dict(program.expect("measured")["others"])
        program.finish()
    bench.drivers.read_back(servers, topic, figures, may_double=True)
    return figures
