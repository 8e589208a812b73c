"""One run of the bench: its options, its folder, and what it has found so far."""

import fnmatch
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benches.drivers import Drivers, Watch, measured
from benches.figures import Figures
from benches.probes.disk import RawDisk
from benches.probes.loopback import RawLoopback
from benches.servers.running import Servers
from benches.stepped import Line, Stepped
from support.processes import wait_for
from support.tern import PROGRAM

QUEUES = 8
# Slaves of Apache take topics by a timer.
TOPIC_SECONDS = 60.0


@dataclass
class Bench:
    """What every row is given.

    Args:
        folder: for data and files; on the disk that is to be measured.
        seconds: load of a row.
        warm_up: load that nobody counts before the rows of the Java client, seconds.
        kills: of the row that has most of them.
        patterns: names of rows, with `*`; empty for all.
        raw: what the disk does by itself.
        loopback: what the loopback does by itself.
    """

    folder: Path
    seconds: float
    warm_up: float
    kills: int
    patterns: Sequence[str]
    raw: RawDisk | None = None
    loopback: RawLoopback | None = None
    results: list[Figures] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """What went wrong with sections that then were left out."""
    watch: Watch | None = None
    """Told when the window of a row opens and closes."""
    _created: set[tuple[float, str]] = field(default_factory=set)
    """Topics, each with the time at which its servers were up."""

    @property
    def drivers(self) -> Drivers:
        """Load programs."""
        return Drivers(self.folder)

    @property
    def has_java(self) -> bool:
        """Whether the Java rows can run here."""
        return all(shutil.which(program) for program in ("java", "mvn"))

    def wants(self, row: str) -> bool:
        """Whether a row was asked for."""
        return not self.patterns or any(fnmatch.fnmatch(row, pattern) for pattern in self.patterns)

    def wants_any(self, rows: Sequence[str]) -> bool:
        """Whether one of some rows was asked for."""
        return any(self.wants(row) for row in rows)

    def say(self, text: str) -> None:
        """Tell a person what goes on."""
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        sys.stderr.flush()

    def add(self, figures: Figures) -> None:
        """Take a row's figures and tell them."""
        self.results.append(figures)
        shown = {name: value for name, value in figures.as_json().items() if name not in ("row", "side")}
        rounded = (
            f"{name}={value:,.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in shown.items()
        )
        self.say(f"  {figures.row} ({figures.side}): {' '.join(rounded)}")

    def measured(self, program: Stepped, servers: Servers, row: str, *, begins: bool = False) -> Figures:
        """Measure a program that is a row's load; see `drivers.measured`."""
        return self.measured_line(program, servers, row, begins=begins)[0]

    def measured_line(
        self, program: Stepped, servers: Servers, row: str, *, begins: bool = False
    ) -> tuple[Figures, Line]:
        """The same with what the program said itself."""
        return measured(program, servers, row, begins=begins, watch=self.watch)

    def topic(self, servers: Servers, name: str) -> str:
        """Create a topic on every group and wait until every replica has it."""
        self._create(servers, name)
        self._wait_everywhere(servers, name)
        return name

    def topics(self, servers: Servers, names: Sequence[str]) -> None:
        """The same for several at once: where topics travel by a timer, one wait is enough for all."""
        for name in names:
            self._create(servers, name)
        for name in names:
            self._wait_everywhere(servers, name)

    def _create(self, servers: Servers, name: str) -> None:
        if (servers.up_at, name) in self._created:
            return
        command = [str(PROGRAM), "topic", "create", name, "--queues", str(QUEUES), "--quiet"]
        command += ["--endpoints", servers.subject.nameservers]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"topic {name} was not created: {done.stderr}")
        self._created.add((servers.up_at, name))

    def _wait_everywhere(self, servers: Servers, name: str) -> None:
        wait_for(
            lambda: servers.subject.topic_is_everywhere(name), TOPIC_SECONDS, f"{name} to be everywhere", every=0.2
        )
