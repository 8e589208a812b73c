"""Whether a handler can be awaited: a plain function would run, fail at the `await`, and run again with each retry."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from ternmq.errors import ConfigError


def check_handler(handler: Callable[..., object]) -> None:
    """Refuse what can be seen to be no coroutine function, before it has a message.

    A lambda, and an object with ``__call__``, may return something to await; `outcome_refusal` looks at that.

    Raises:
        ConfigError: not callable, or a plain function, method, class or builtin.
    """
    if not callable(handler):
        raise ConfigError(f"the handler is {type(handler).__name__}, but must be an `async def` function")
    inner = inspect.unwrap(handler)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    if inspect.iscoroutinefunction(inner) or getattr(inner, "__name__", "") == "<lambda>":
        return
    if inspect.isroutine(inner) or inspect.isclass(inner):
        raise _refused(handler)


def outcome_refusal(handler: Callable[..., object], outcome: object) -> ConfigError | None:
    """The refusal of a handler that has returned something that nobody can await; None if it can be awaited."""
    return None if inspect.isawaitable(outcome) else _refused(handler)


def _refused(handler: object) -> ConfigError:
    name = getattr(handler, "__qualname__", repr(handler))
    return ConfigError(
        f"handler {name} is not a coroutine function: write it as `async def`, and call what blocks with"
        " `await asyncio.to_thread(...)`"
    )
