"""One node of a local cluster: what it is, and the process it runs in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ternmq.cluster.identity import ProcessIdentity

NAMESRV = "namesrv"
BROKER = "broker"


@dataclass(frozen=True)
class Port:
    """A port that a node listens on.

    Args:
        host: address it binds.
        port: number.
        setting: where the number comes from, in words that a person finds in the topology file.
    """

    host: str
    port: int
    setting: str


@dataclass(frozen=True)
class NodeSpec:
    """What a node is.

    Args:
        name: ``ns1`` or ``group-a/n0``.
        kind: `NAMESRV` or `BROKER`.
        group: the broker group; None for a NameServer.
        address: where clients reach it.
        ports: everything it listens on.
        command: how its process is started.
    """

    name: str
    kind: str
    group: str | None
    address: str
    ports: tuple[Port, ...]
    command: tuple[str, ...]


class NodeProcess:
    """A child process, from its start to its end. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start
        self._started = time.monotonic()
        try:
            self.identity = ProcessIdentity.of(process.pid)
        except psutil.NoSuchProcess:
            # It ended at once, and has been reaped: `wait` tells how.
            self.identity = ProcessIdentity(process.pid, time.time())

    @classmethod
    async def start(cls, command: Sequence[str], log: Path) -> NodeProcess:
        """Start a child whose output goes to its log.

        It gets a session of its own: a Ctrl-C on the terminal reaches the supervisor only, which then drains.
        """
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            return cls(process, log, sink.tell())

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ran_for_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    async def wait(self) -> int:
        """Wait for the end; a negative code is the signal that ended it."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to drain and end; a stopped process is woken so that it can."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def last_words(self) -> str:
        """Return the sentence that explains its end, from what this process wrote to the log."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 65536))
            return last_words(log.read().decode(errors="replace"))


def last_words(text: str) -> str:
    """Find the sentence in a log that says why a process ended: its last ``error:`` line, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    return lines[-1] if lines else "it wrote nothing to its log"


def describe_end(code: int) -> str:
    """Put an exit code into words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
