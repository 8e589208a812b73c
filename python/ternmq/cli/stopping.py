"""SIGTERM and Ctrl-C as an order to end: what was begun is finished, and the exit code says which signal it was."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from functools import partial

from ternmq.client import signals


class StopOrder:
    """Whether a signal has told this command to end. The first one lets it drain, the second one does not wait.

    Args:
        drain: called on the event loop at the first signal.
        hurry: called at each further one.
    """

    def __init__(self, drain: Callable[[], object], hurry: Callable[[], object]) -> None:
        self._drain = drain
        self._hurry = hurry
        self.number: signal.Signals | None = None

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Catch the signals for the time of a block, which runs on an event loop."""
        with contextlib.ExitStack() as stack:
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.enter_context(signals.caught([number], partial(self._arrived, number)))
            yield

    def _arrived(self, number: signal.Signals) -> None:
        if self.number is None:
            self.number = number
            self._drain()
        else:
            self._hurry()
