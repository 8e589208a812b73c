"""What the loopback does raw: one byte there and one back over TCP, by pairs of processes that each wait for it."""

import multiprocessing
import resource
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

SECONDS = 2.0
PAIRS = 32
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class RawLoopback:
    """Round trips a second, and the kernel's CPU of one at both ends, by one pair and by many.

    Python sends and receives, so a program in C has some more round trips.
    """

    one_pair: float
    many_pairs: float
    cpu_us_one: float = 0.0
    cpu_us_many: float = 0.0

    @property
    def trip_cpu_us(self) -> float:
        """CPU of a round trip, where it is cheapest."""
        return min(self.cpu_us_one, self.cpu_us_many)

    def __str__(self) -> str:
        return (
            f"raw loopback, a byte there and back over TCP: {self.one_pair:,.0f}/s by one pair of processes, "
            f"{self.many_pairs:,.0f}/s by {PAIRS} pairs; {self.cpu_us_one:.0f} and {self.cpu_us_many:.0f} us of CPU"
        )


def measure() -> RawLoopback:
    """Measure one pair, and many at once."""
    one, many = _trips(1), _trips(PAIRS)
    return RawLoopback(one.rate, many.rate, one.cpu_us, many.cpu_us)


class _Trips(NamedTuple):
    """A second, and the kernel's CPU of one."""

    rate: float
    cpu_us: float


def _trips(pairs: int) -> _Trips:
    results: list[Connection] = []
    processes = []
    for _ in range(pairs):
        near, far = _tcp_pair()
        for end in (_echo, _ask):
            mine, theirs = _FORK.Pipe(duplex=False)
            processes.append(_FORK.Process(target=end, args=(near, far, theirs)))
            processes[-1].start()
            results.append(mine)
        near.close()
        far.close()
    ends: list[_End] = [result.recv() for result in results]
    for process in processes:
        process.join()
    trips = sum(end.trips for end in ends)
    return _Trips(sum(end.rate for end in ends), sum(end.cpu for end in ends) * 1e6 / trips)


class _End(NamedTuple):
    """What one process came to: round trips that it asked for, them a second, and the kernel's CPU, seconds."""

    trips: int
    rate: float
    cpu: float


def _kernel_cpu() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_stime


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def _echo(near: socket.socket, far: socket.socket, result: Connection) -> None:
    # The other end is the other process's: while it is open here, too, its close would not be seen.
    near.close()
    before = _kernel_cpu()
    while byte := far.recv(1):
        far.send(byte)
    result.send(_End(0, 0.0, _kernel_cpu() - before))


def _ask(near: socket.socket, far: socket.socket, result: Connection) -> None:
    far.close()
    count, begin, before = 0, time.monotonic(), _kernel_cpu()
    end = begin + SECONDS
    while time.monotonic() < end:
        near.send(b".")
        near.recv(1)
        count += 1
    result.send(_End(count, count / (time.monotonic() - begin), _kernel_cpu() - before))
    near.close()
