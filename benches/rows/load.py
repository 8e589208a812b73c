"""Rows of our own load generator: one group of three, acknowledged after `fdatasync` on a majority."""

from typing import NamedTuple

from benches.bench import Bench
from benches.catalogue import LOAD
from benches.drivers import note
from benches.figures import Figures
from benches.servers.ours import ours
from benches.servers.running import Servers
from benches.stepped import LoadFailedError

BACKLOG = 1_000_000
PULLERS = 4


class Shape(NamedTuple):
    """How a load is shaped."""

    connections: int
    in_flight: int
    body: int


SENDS = {
    "load-1": Shape(1, 1, 128),
    "load-32": Shape(32, 1, 128),
    "load-32-1k": Shape(32, 1, 1024),
    "load-256": Shape(4, 64, 128),
    "load-1024": Shape(4, 256, 1024),
}
# Messages that a pull asks for.
PULLS = {"pull-32": 32, "pull-1024": 1024}


def run(bench: Bench) -> None:
    """Measure what was asked for."""
    if not bench.wants_any([row.name for row in LOAD]):
        return
    bench.say("our servers, 1 group of 3, under our own load generator")
    with ours(bench.folder) as servers:
        for name, shape in SENDS.items():
            if bench.wants(name):
                bench.add(send(bench, servers, name, shape))
        if bench.wants_any(list(PULLS)):
            _pulls(bench, servers)


def send(bench: Bench, servers: Servers, name: str, shape: Shape) -> Figures:
    """Send for the time of a row, and read everything back."""
    topic = bench.topic(servers, name)
    options = ["--connections", shape.connections, "--in-flight", shape.in_flight, "--body", shape.body]
    with bench.drivers.load("send", servers, topic, *options, "--seconds", bench.seconds) as program:
        figures = bench.measured(program, servers, name)
        program.go_on()
        note(figures, program.expect("read", within=300))
        program.finish()
    return figures


def fill(bench: Bench, servers: Servers, topic: str, count: int, body: int) -> None:
    """Send a backlog; the numbers of its messages are left in a file."""
    bench.say(f"  filling {topic} with {count:,} messages of {body} bytes")
    options = ["--connections", 4, "--in-flight", 64, "--body", body, "--count", count]
    with bench.drivers.load("send", servers, topic, *options, "--save", bench.drivers.numbers(topic)) as program:
        program.expect("ready")
        program.go_on()
        line = program.expect("measured", within=600)
        program.go_on()
        if program.finish() != 0:
            raise LoadFailedError(f"not all of the backlog was acknowledged: {line}")


def _pulls(bench: Bench, servers: Servers) -> None:
    topic = bench.topic(servers, "pull")
    fill(bench, servers, topic, BACKLOG, 128)
    for name, most in PULLS.items():
        if not bench.wants(name):
            continue
        options = ["--connections", PULLERS, "--max-messages", most, "--expect", bench.drivers.numbers(topic)]
        with bench.drivers.load("pull", servers, topic, *options) as program:
            figures = bench.measured(program, servers, name)
            program.go_on()
            note(figures, program.expect("read"))
            program.finish()
        bench.add(figures)
