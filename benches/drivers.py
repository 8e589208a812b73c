"""The three load programs, and what they come to with the servers' counters around them."""

import os
import subprocess
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


def build_load() -> None:
    """Build our generator, and with it the folder `target`, below which the data of a run lies."""
    build = ["cargo", "build", "--release", "--quiet", "--locked", "--package", "tern-load"]
    subprocess.run(build, cwd=ROOT, check=True)


def masters_of(servers: Servers, groups: int | None = None) -> str:
    """Masters as our generator takes them, of the first so many groups or of all."""
    return ",".join(f"{group}={servers.leader_of(group)}" for group in servers.groups[:groups])


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

    def load(self, what: str, servers: Servers, topic: str, *options: object, brokers: str | None = None) -> Stepped:
        """Our generator, on the first group's master, or on the brokers that are given; see `masters_of`."""
        return Stepped([LOAD, what, brokers or masters_of(servers, 1), topic, *options, "--stepped"])

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
        where = [servers.subject.nameservers, scenario, topic, "--numbers", self.numbers(topic)]
        return Stepped([sys.executable, PYTHON_CLIENT, *where, *options])

    def read_back(self, servers: Servers, topic: str, figures: Figures, *, may_double: bool = False) -> None:
        """Compare a topic with what was acknowledged; see `note`."""
        file = self.numbers(topic)
        with self.load("read", servers, topic, "--expect", file, brokers=masters_of(servers)) as program:
            note(figures, program.expect("read", within=300), may_double=may_double)
            program.finish()
        file.unlink()


def note(figures: Figures, read: Line, *, may_double: bool = False) -> None:
    """Take over what reading back found.

    Args:
        figures: of the row.
        read: the program's line.
        may_double: the client sends again what was not answered, so that a second copy is no fault.
    """
    figures.missing = int(read["missing"])
    doubled = int(read["records"]) - int(read["distinct"])
    if may_double and doubled:
        figures.others["stored twice"] = doubled
    else:
        figures.doubled = doubled


def measured(
    program: Stepped, servers: Servers, row: str, *, begins: bool = False, watch: Watch | None = None
) -> tuple[Figures, Line]:
    """Let a program go on once it is ready, and take the counters at both ends of its window.

    Args:
        program: the load.
        servers: whose counters.
        row: name of the row.
        begins: the program says itself when its window begins, after a time of warming up.
        watch: told when the window opens and when it has closed.

    Returns:
        The figures, and the program's own line.
    """
    program.expect("ready")
    os.sync()
    pids = servers.pids
    if begins:
        program.go_on()
        program.expect("begin")
    if watch is not None:
        watch.begin(servers)
    before = Reading.take(pids, program.pid, ROOT)
    if not begins:
        program.go_on()
    line = program.expect("measured", within=600)
    used = Used.between(before, Reading.take(pids, program.pid, ROOT))
    figures = rated(row, servers.side, line, used)
    if watch is not None:
        watch.end(figures)
    return figures, line
