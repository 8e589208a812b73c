"""The three load programs, and what they come to with the servers' counters around them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benches import ROOT
from benches.figures import Figures, rated
from benches.probes.window import Reading, Used
from benches.servers.running import Servers
from benches.stepped import Line, Stepped
from support import maven

LOAD = ROOT / "target" / "release" / "tern-load"
JAVA_PROJECT = Path(__file__).parent / "java"
PYTHON_CLIENT = Path(__file__).parent / "python_client.py"


class Watch(Protocol):
    """Looks at servers while a row runs."""

    def begin(self, servers: Servers) -> None:
        """The load begins."""

    def end(self, figures: Figures) -> None:
        """The load has ended, and came to this."""


@dataclass(frozen=True)
class Drivers:
    """Makes load programs.

    Args:
        folder: for the files that they leave.
    """

    folder: Path

    def numbers(self, topic: str) -> Path:
        """File with the numbers of the messages that were acknowledged."""
        return self.folder / f"{topic}.numbers"

    def load(self, what: str, servers: Servers, topic: str, *options: object) -> Stepped:
        """Our generator, on the first group's master."""
        where = [servers.leader, topic, "--broker-name", servers.subject.group]
        return Stepped([LOAD, what, *where, *options, "--stepped"])

    def java(self, scenario: str, servers: Servers, topic: str, **settings: object) -> Stepped:
        """The official Java client."""
        classpath = maven.classpath(maven.build(JAVA_PROJECT))
        words = [f"{name.replace('_', '-')}={value}" for name, value in settings.items()]
        words.append(f"numbers={self.numbers(topic)}")
        home = f"-Duser.home={self.folder / 'java-home'}"
        command = ["java", "-Xms512m", "-Xmx1g", home, "-cp", classpath, "ternmq.bench.Bench"]
        return Stepped([*command, servers.subject.nameservers, scenario, topic, *words])

    def python(self, scenario: str, servers: Servers, topic: str, *options: object) -> Stepped:
        """Our Python client."""
        return Stepped([sys.executable, PYTHON_CLIENT, servers.subject.nameservers, scenario, topic, *options])

    def read_back(self, servers: Servers, topic: str, figures: Figures, numbers: Path | None = None) -> None:
        """Compare a topic with what was acknowledged; the result goes into the figures."""
        file = numbers or self.numbers(topic)
        with self.load("read", servers, topic, "--expect", file) as program:
            note(figures, program.expect("read", within=300))
            program.finish()
        if numbers is None:
            file.unlink()


def note(figures: Figures, read: Line) -> None:
    """Take over what reading back found."""
    figures.missing = int(read["missing"])
    figures.doubled = int(read["records"]) - int(read["distinct"])


def measured(
    program: Stepped, servers: Servers, row: str, *, begins: bool = False, watch: "Watch | None" = None
) -> Figures:
    """Let a program that is ready go on, and take the counters at both ends.

    Args:
        program: the load.
        servers: whose counters.
        row: name of the row.
        begins: the program says itself when its window begins, after a time of warming up.
        watch: told when the window opens and when it has closed.
    """
    program.expect("ready")
    os.sync()
    if watch is not None:
        watch.begin(servers)
    pids = servers.pids
    before = Reading.take(pids, program.pid, ROOT)
    program.go_on()
    if begins:
        program.expect("begin")
        before = Reading.take(pids, program.pid, ROOT)
    line = program.expect("measured", within=600)
    used = Used.between(before, Reading.take(pids, program.pid, ROOT))
    figures = rated(row, servers.side, line, used)
    if watch is not None:
        watch.end(figures)
    return figures
