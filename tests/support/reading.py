"""What the client's integration tests do again and again."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import ternmq
from ternmq import Consumer, Message

T = TypeVar("T")
Scenario = Callable[[ternmq.Client], Coroutine[Any, Any, None]]

_numbers = itertools.count(1)
WITHIN_SECONDS = 60.0


def fresh(what: str) -> str:
    """A name that no other test of this run uses."""
    return f"{what}-{next(_numbers)}"


def with_client(nameservers: str, scenario: Scenario) -> None:
    """Run a scenario with a connected client."""

    async def main() -> None:
        async with asyncio.timeout(WITHIN_SECONDS), ternmq.connect(nameservers) as mq:
            await scenario(mq)

    asyncio.run(main())


async def read(inbox: Consumer[T], count: int) -> list[Message[T]]:
    """Read and acknowledge so many messages."""
    messages: list[Message[T]] = []
    while len(messages) < count:
        async with await anext(inbox) as message:
            messages.append(message)
    return messages


async def until(claim: Callable[[], bool | Awaitable[bool]], what: str, within: float = 30.0) -> None:
    """Wait until a claim holds."""
    try:
        async with asyncio.timeout(within):
            while True:
                held = claim()
                if held if isinstance(held, bool) else await held:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within} s: {what}") from None
