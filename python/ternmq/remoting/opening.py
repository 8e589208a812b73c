"""Where an endpoint gets the engine."""

from __future__ import annotations

from ternmq import _core
from ternmq.remoting import journal
from ternmq.remoting.endpoint import Endpoint

_MAX_PENDING = 10_000
_MAX_PENDING_BYTES = 64 << 20


def open_endpoint(
    *, workers: int = 1, max_pending: int = _MAX_PENDING, max_pending_bytes: int = _MAX_PENDING_BYTES
) -> Endpoint:
    """Start the engine's transport for the running event loop.

    Args:
        workers: threads of the engine that serve sockets.
        max_pending: calls that may wait for their answer; one more fails at once.
        max_pending_bytes: the same in bytes of their bodies.
    """
    journal.start()
    return Endpoint(_core.Endpoint(workers=workers, max_pending=max_pending, max_pending_bytes=max_pending_bytes))
