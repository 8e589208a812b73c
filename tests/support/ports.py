"""Ports for test servers: below the range of outgoing connections, apart for each process that takes some.

A process that wants ports takes a share of the range and keeps it until its end: it listens on the share's first port,
which nobody else can do meanwhile. So runs of the tests side by side, and the workers of one run, never get the same.
"""

from __future__ import annotations

import functools
import itertools
import os
import socket

_FIRST, _LAST = 12_000, 32_000
_PER_SHARE = 2_000
_taken = itertools.count()


def free_block(size: int, step: int = 10) -> int:
    """Find ports in a row that nobody listens on, and that no earlier call in this process returned.

    Args:
        size: how many.
        step: blocks start at multiples of this number.

    Raises:
        OSError: all shares are taken, or this process's share is used up.
    """
    mark: int = _share().getsockname()[1]
    start, room = mark + step, _PER_SHARE - step
    blocks = -(-size // step)
    # A process looks at each place once; after a full round the first ones are free again.
    for _ in range(room // step):
        first = start + next(_taken) * step % room
        if first + blocks * step <= start + room and all(_is_free(first + index) for index in range(size)):
            for _ in range(blocks - 1):
                next(_taken)
            return first
    raise OSError(f"no {size} free ports from {start} to {start + room}")


@functools.cache
def _share() -> socket.socket:
    """The listening socket that marks this process's share; the kernel takes it back however the process ends."""
    shares = range(_FIRST, _LAST, _PER_SHARE)
    # Runs one after the other begin elsewhere, where nothing of an earlier run is still closing.
    begin = os.getpid() % len(shares)
    for first in (*shares[begin:], *shares[:begin]):
        mark = socket.socket()
        try:
            mark.bind(("127.0.0.1", first))
            mark.listen(1)
        except OSError:
            mark.close()
            continue
        return mark
    raise OSError(f"all {len(shares)} shares of the ports from {_FIRST} to {_LAST} are taken by other processes")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
