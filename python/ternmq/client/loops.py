"""An open client belongs to its event loop: a call from another one is refused at once.

A future of one loop that a task of another awaits fails with a text about futures, or never ends. So every entry asks
whether it is called in the loop that opened its client.
"""

from __future__ import annotations

import asyncio

from ternmq.errors import ForeignLoopError


def check(loop: asyncio.AbstractEventLoop | None, what: str) -> None:
    """Make sure that this is the loop in which something was opened; None for what is not open.

    Takes 0.2 us, as the running loop is looked up by process and thread: too much for every message.

    Raises:
        ForeignLoopError: it is another one, or none runs here.
    """
    if loop is not None and not is_here(loop):
        raise ForeignLoopError(
            f"{what} belongs to another event loop; connect() once more in this one"
            " (with pytest-asyncio: give the fixture and its tests the same loop_scope)"
        )


def is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop is the one that runs here."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
