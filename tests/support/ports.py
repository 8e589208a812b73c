"""Ports for test servers: below the range of outgoing connections, apart for each worker of pytest-xdist."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _LAST = 12_000, 32_000
_PER_WORKER = 2_000
_taken = itertools.count()


def free_block(size: int, step: int = 10) -> int:
    """Find ports in a row that nobody listens on, and that no earlier call in this process returned.

    Args:
        size: how many.
        step: blocks start at multiples of this number.

    Raises:
        OSError: this worker's share of the ports is used up.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = _FIRST + worker * _PER_WORKER % (_LAST - _FIRST)
    blocks = -(-size // step)
    # A process looks at each place once; after a full round the first ones are free again.
    for _ in range(_PER_WORKER // step):
        first = start + next(_taken) * step % _PER_WORKER
        if first + blocks * step <= start + _PER_WORKER and all(_is_free(first + index) for index in range(size)):
            for _ in range(blocks - 1):
                next(_taken)
            return first
    raise OSError(f"no {size} free ports from {start} to {start + _PER_WORKER}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
