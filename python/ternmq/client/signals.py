"""Signals that end `Consumer.run`: several consumers of a program may wait for the same one."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ternmq.errors import ConfigError

_listeners: dict[int, list[Callable[[], None]]] = {}
_before: dict[int, Any] = {}
"""What the process did at a signal before the first listener came."""


@contextlib.contextmanager
def caught(numbers: Iterable[int], arrived: Callable[[], None]) -> Iterator[None]:
    """Call a function on the event loop at each of these signals, for the time of a block.

    Args:
        numbers: such as ``signal.SIGTERM``.
        arrived: called at every one.

    Raises:
        ConfigError: a number is no signal that can be caught, or this is not the main thread.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        for number in dict.fromkeys(numbers):
            _listen(loop, number, arrived)
            stack.callback(_leave, loop, number, arrived)
        yield


def _listen(loop: asyncio.AbstractEventLoop, number: int, arrived: Callable[[], None]) -> None:
    if number in _listeners:
        _listeners[number].append(arrived)
        return
    try:
        before = signal.getsignal(number)
        loop.add_signal_handler(number, _arrived, number)
    except (ValueError, RuntimeError, TypeError, NotImplementedError) as error:
        raise ConfigError(f"stop_on has {number!r}, which cannot be caught here: {error}") from error
    _before[number] = before
    _listeners[number] = [arrived]


def _leave(loop: asyncio.AbstractEventLoop, number: int, arrived: Callable[[], None]) -> None:
    _listeners[number].remove(arrived)
    if not _listeners[number]:
        del _listeners[number]
        loop.remove_signal_handler(number)
        # asyncio.run has a handler of its own for Ctrl-C, and what is not Python's cannot be put back.
        before = _before.pop(number)
        if before is not None:
            signal.signal(number, before)


def _arrived(number: int) -> None:
    for arrived in tuple(_listeners.get(number, ())):
        arrived()
