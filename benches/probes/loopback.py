"""What the loopback does raw: one byte there and one back over TCP, by pairs of processes that each wait for it."""

import multiprocessing
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

SECONDS = 2.0
PAIRS = 32
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class RawLoopback:
    """Round trips a second. Python sends and receives, so a program in C has some more."""

    one_pair: float
    many_pairs: float

    def __str__(self) -> str:
        return (
            f"raw loopback, a byte there and back over TCP: {self.one_pair:,.0f}/s by one pair of processes, "
            f"{self.many_pairs:,.0f}/s by {PAIRS} pairs"
        )


def measure() -> RawLoopback:
    """Measure one pair, and many at once."""
    return RawLoopback(one_pair=_rate(1), many_pairs=_rate(PAIRS))


def _rate(pairs: int) -> float:
    results: list[Connection] = []
    processes = []
    for _ in range(pairs):
        mine, theirs = _FORK.Pipe(duplex=False)
        near, far = _tcp_pair()
        processes.append(_FORK.Process(target=_echo, args=(near, far)))
        processes.append(_FORK.Process(target=_ask, args=(near, far, theirs)))
        for process in processes[-2:]:
            process.start()
        near.close()
        far.close()
        results.append(mine)
    rate = sum(float(result.recv()) for result in results)
    for process in processes:
        process.join()
    return rate


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def _echo(near: socket.socket, far: socket.socket) -> None:
    # The other end is the other process's: while it is open here, too, its close would not be seen.
    near.close()
    while byte := far.recv(1):
        far.send(byte)


def _ask(near: socket.socket, far: socket.socket, result: Connection) -> None:
    far.close()
    count, begin = 0, time.monotonic()
    end = begin + SECONDS
    while time.monotonic() < end:
        near.send(b".")
        near.recv(1)
        count += 1
    result.send(count / (time.monotonic() - begin))
    near.close()
