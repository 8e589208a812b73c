"""What the kernel says about a process: the proofs that a fault acted, and the figures that tests bound."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for another one that got its number later."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """The process that has this number now; raises ProcessLookupError."""
        return cls(pid, int(_stat(pid)[19]))

    def state(self) -> str | None:
        """Kernel state letter: R, S, D, T, …; None when it is gone or only a zombie."""
        try:
            stat = _stat(self.pid)
        except ProcessLookupError:
            return None
        return None if int(stat[19]) != self.started or stat[0] == "Z" else stat[0]

    def is_alive(self) -> bool:
        """Whether this very process still runs or is stopped."""
        return self.state() is not None

    def send(self, number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self, within: float = 5.0) -> None:
        """SIGKILL, and wait for the proof: the process is gone.

        Raises:
            TimeoutError: it is still there.
        """
        self.send(signal.SIGKILL)
        wait_for(lambda: not self.is_alive(), within, f"process {self.pid} to die of SIGKILL")

    def stop(self, within: float = 5.0) -> None:
        """SIGSTOP, and wait for the proof: every thread shows state T."""
        self.send(signal.SIGSTOP)
        wait_for(self._all_threads_stopped, within, f"process {self.pid} to stop")

    def resume(self, within: float = 5.0) -> None:
        """SIGCONT, and wait until it is no longer stopped."""
        self.send(signal.SIGCONT)
        wait_for(lambda: self.state() != "T", within, f"process {self.pid} to go on")

    def _all_threads_stopped(self) -> bool:
        letters = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                letters.append((task / "stat").read_text().rsplit(")", 1)[1].split()[0])
        return bool(letters) and set(letters) <= {"T"}


@dataclass(frozen=True)
class Connection:
    """One established TCP connection of a process."""

    local_port: int
    peer_port: int


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def listening_ports(pid: int) -> set[int]:
    """TCP ports on which a process listens."""
    return {local for local, _, state in _sockets(pid) if state == 0x0A}


def connections(pid: int) -> set[Connection]:
    """TCP connections of a process in any state but listening, whoever opened them."""
    return {Connection(local, peer) for local, peer, state in _sockets(pid) if state != 0x0A}


def open_descriptors(pid: int) -> int:
    """Number of open file descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_for(condition: Callable[[], bool], within: float, what: str, every: float = 0.02) -> None:
    """Wait until a condition holds.

    Args:
        condition: asked again and again.
        within: seconds.
        what: names the condition in the error.
        every: seconds between two questions.

    Raises:
        TimeoutError: the condition did not come true in time.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within} s for {what}")
        time.sleep(every)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(pid) from error


def _sockets(pid: int) -> Iterator[tuple[int, int, int]]:
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[9] in inodes:
                yield int(columns[1].rsplit(":", 1)[1], 16), int(columns[2].rsplit(":", 1)[1], 16), int(columns[3], 16)
