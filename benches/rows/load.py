"""Rows of our own load generator: one group of three, or five, acknowledged after `fdatasync` on a majority."""

from collections.abc import Mapping
from typing import NamedTuple

from benches.bench import Bench
from benches.drivers import masters_of, note
from benches.figures import Figures
from benches.servers.ours import ours
from benches.servers.running import Servers
from benches.stepped import LoadFailedError

BACKLOG = 1_000_000
PULLERS = 4


class Shape(NamedTuple):
    """How a load is shaped, for each group.

    Args:
        connections: of the generator.
        in_flight: unanswered sends of a connection at most.
        body: bytes of a message.
        rate: sends a second, each due at its time; None keeps `in_flight` unanswered.
        batch: messages of a send.
    """

    connections: int
    in_flight: int
    body: int
    rate: int | None = None
    batch: int = 1

    def options(self, seconds: float) -> list[object]:
        """Words of the generator's command line."""
        words: list[object] = ["--connections", self.connections, "--in-flight", self.in_flight, "--body", self.body]
        words += ["--batch", self.batch, "--seconds", seconds]
        return words if self.rate is None else [*words, "--rate", self.rate]


SENDS = {
    "load-1": Shape(1, 1, 128),
    "load-32": Shape(32, 1, 128),
    "load-32-1k": Shape(32, 1, 1024),
    "load-256": Shape(4, 64, 128),
    "load-1024": Shape(4, 256, 1024),
}
# Some 1,000 messages are in flight in both.
END_TO_END = {
    "load-end-to-end": Shape(4, 256, 256),
    "load-end-to-end-100": Shape(4, 3, 256, batch=100),
}
GROUPS = 5
GROUP_SENDS = {
    "load-5x7": Shape(7, 1, 128),
    "load-5x20k": Shape(4, 4096, 128, rate=20_000),
    "load-5x512": Shape(4, 128, 128),
}
# Messages that a pull asks for.
PULLS = {"pull-32": 32, "pull-1024": 1024}


def run(bench: Bench) -> None:
    """Measure what was asked for."""
    if bench.wants_any([*SENDS, *END_TO_END, *PULLS]):
        bench.say("our servers, 1 group of 3, under our own load generator")
        with ours(bench.folder) as servers:
            _sends(bench, servers, SENDS)
            _sends(bench, servers, END_TO_END, "end-to-end")
            if bench.wants_any(list(PULLS)):
                _pulls(bench, servers)
    if bench.wants_any(list(GROUP_SENDS)):
        bench.say(f"our servers, {GROUPS} groups of 3, under our own load generator")
        with ours(bench.folder, groups=GROUPS) as servers:
            _sends(bench, servers, GROUP_SENDS)


def _sends(bench: Bench, servers: Servers, shapes: Mapping[str, Shape], what: str = "send") -> None:
    for name, shape in shapes.items():
        if bench.wants(name):
            bench.add(send(bench, servers, name, shape, what))


def send(bench: Bench, servers: Servers, name: str, shape: Shape, what: str = "send") -> Figures:
    """Send to every group for the time of a row, and read everything back, afterwards or `end-to-end`."""
    topic, brokers = bench.topic(servers, name), masters_of(servers)
    with bench.drivers.load(what, servers, topic, *shape.options(bench.seconds), brokers=brokers) as program:
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
