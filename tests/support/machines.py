"""Machines of a network that is made for a test: network namespaces on a bridge, each with its address. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_NETWORK = "10.213.0."


def can_be_made() -> bool:
    """Whether this process may make namespaces."""
    name = f"tq{os.getpid()}x"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)
    return True


@dataclass
class Machine:
    """A namespace.

    Args:
        name: of the namespace.
        address: its only one beside loopback.
        processes: that were started there.
    """

    name: str
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
        """Start a program there; its output goes to a file."""
        with log.open("ab") as output:
            process = subprocess.Popen(self._inside(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.processes.append(process)
        return process

    def run(self, command: Sequence[str | Path], *, said: str | None = None, within: float = 60.0) -> str:
        """Run a program there to its end, and give what it printed.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            self._inside(command), input=said, capture_output=True, text=True, timeout=within, check=False
        )
        assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def unplug(self) -> None:
        """Take the cable out: nothing gets in or out, and no connection is told."""
        _ip("-n", self.name, "link", "set", "dev", "eth0", "down")

    def plug(self) -> None:
        """Put it in again."""
        _ip("-n", self.name, "link", "set", "dev", "eth0", "up")

    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *map(str, command)]


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """Make so many machines for the time of a block; their processes are killed at its end."""
    switch = f"tq{os.getpid()}s"
    made = [Machine(f"tq{os.getpid()}m{number}", f"{_NETWORK}{number}") for number in range(1, count + 1)]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for number, machine in enumerate(made):
            _ip("netns", "add", machine.name)
            port = f"port{number}"
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
            _ip("-n", switch, "link", "set", port, "master", "br0", "up")
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", machine.name, "link", "set", "dev", device, "up")
        yield made
    finally:
        for machine in made:
            for process in machine.processes:
                process.kill()
                process.wait()
        for name in (*(machine.name for machine in made), switch):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
