"""Runs a battery: an official client, unmodified, Java's or Go's, one scenario after another in one process."""

import base64
import json
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from support import golang, maven

_PROJECTS = Path(__file__).parents[1] / "conformance"
SCENARIO_SECONDS = 90
_LAST = ("done", "crashed")

Line = dict[str, Any]


class Client(Protocol):
    """A client for which there is a battery."""

    @property
    def orderly_deliveries(self) -> int:
        """How often a message that is always refused is delivered in order, where two retries are allowed."""

    def command(self, home: Path) -> list[str]:
        """Build the battery and return how it is started; what the client itself writes goes below `home`."""


@dataclass(frozen=True)
class JavaClient:
    """Which Java client, and which header form it sends: `JSON` or `ROCKETMQ`."""

    version: str = "5.5.0"
    headers: str = "JSON"
    orderly_deliveries: int = 3

    def __str__(self) -> str:
        return f"{self.version}-{'json' if self.headers == 'JSON' else 'binary'}"

    def command(self, home: Path) -> list[str]:
        """A JVM with one release of the client on its class path."""
        built = maven.build(_PROJECTS / "java", {"client.version": self.version})
        return [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home}",
            f"-Drocketmq.serialize.type={self.headers}", "-cp", maven.classpath(built), "ternmq.battery.Battery",
        ]  # fmt: skip


@dataclass(frozen=True)
class GoClient:
    """The Go client in the version of `go.mod`; it sends JSON headers."""

    # It gives a message up when more retries were counted than are allowed, the others when as many were.
    orderly_deliveries: int = 4

    def __str__(self) -> str:
        return "go"

    def command(self, home: Path) -> list[str]:
        """The compiled program."""
        return ["env", f"HOME={home}", str(golang.build(_PROJECTS / "go"))]


class Battery:
    """The built battery of one client.

    A process is started for the first scenario and serves the following ones, until `close`.

    Args:
        home: folder for what the client itself writes.
        client: which one.
    """

    def __init__(self, home: Path, client: Client | None = None) -> None:
        self.client = client or JavaClient()
        self._command = self.client.command(home)
        self._session: Session | None = None

    def run(self, nameservers: str, scenario: str, topic: str, *arguments: object) -> list[Line]:
        """Run one scenario to its end and return its lines.

        Raises:
            AssertionError: the scenario did not reach its end; carries what the client said.
        """
        if self._session is None:
            self._session = Session(self._command)
        words = [nameservers, scenario, topic, *map(str, arguments)]
        lines = self._session.run(words)
        if not lines or lines[-1]["event"] != "done":
            said = self._session.said()
            self.close()
            raise AssertionError(f"{scenario} did not end well: {lines[-1] if lines else 'no answer'}\n{said}")
        return lines

    def start(self, nameservers: str, scenario: str, topic: str, *arguments: object) -> "Endless":
        """Start a scenario that goes on until it is told to stop, in a process of its own."""
        return Endless([*self._command, nameservers, scenario, topic, *map(str, arguments)])

    def close(self) -> None:
        """End the process."""
        if self._session is not None:
            self._session.process.end()
            self._session = None


class Session:
    """A process that takes one scenario after another."""

    def __init__(self, command: list[str]) -> None:
        self.process = Endless(command)

    def run(self, words: list[str]) -> list[Line]:
        """The lines of one scenario; the last is `done` or `crashed`, unless the process hangs or has died."""
        before = len(self.process.lines())
        self.process.tell("\t".join(words))
        self.process.wait_until(lambda lines: any(line["event"] in _LAST for line in lines[before:]), SCENARIO_SECONDS)
        return self.process.lines()[before:]

    def said(self) -> str:
        """The end of what the client wrote beside the lines."""
        return self.process.said()


class Endless:
    """A running process; its lines are collected as they come."""

    def __init__(self, command: list[str]) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._incoming: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._lines: list[Line] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self) -> list[Line]:
        """All lines so far."""
        while not self._incoming.empty():
            self._lines.append(self._incoming.get())
        return self._lines

    def take(self) -> list[Line]:
        """The lines that have come since the last call; they are forgotten, so that a run may last."""
        taken, self._lines = self.lines(), []
        return taken

    @property
    def has_ended(self) -> bool:
        """Whether no more lines will come."""
        return not self._reader.is_alive()

    def count(self, event: str) -> int:
        """How many lines of a kind have come so far."""
        return sum(line["event"] == event for line in self.lines())

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait_until(self, reached: Callable[[list[Line]], bool], within: float) -> None:
        """Wait for lines; returns early when the process has ended."""
        deadline = time.monotonic() + within
        while not reached(self.lines()) and self._reader.is_alive() and (left := deadline - time.monotonic()) > 0:
            try:
                self._lines.append(self._incoming.get(timeout=min(left, 1)))
            except queue.Empty:
                continue

    def said(self) -> str:
        """The end of its standard error."""
        self._errors.seek(0)
        return self._errors.read()[-4000:].decode(errors="replace")

    def stop(self, within: float = 60.0) -> list[Line]:
        """Tell it to stop, wait for its end, return all lines."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(within)
        self._reader.join(within)
        return self.lines()

    def end(self) -> None:
        """Make sure that it does not outlive the test."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._incoming.put(parse(line))


def parse(text: str) -> Line:
    """One line of the battery, with bodies as bytes."""
    line: Line = json.loads(text)
    for side in ("in", "out"):
        if side in line:
            line[side]["body"] = base64.b64decode(line[side]["body"])
    return line


def events(lines: list[Line], name: str) -> list[Line]:
    """The lines of one kind, in order."""
    return [line for line in lines if line["event"] == name]
