"""Changes that the group has to agree on: proposed to the engine, awaited until they are applied."""

import asyncio
import itertools
from collections.abc import Callable
from typing import NamedTuple

from ternmq.protocol.codes import ResponseCode

# The engine decides within its own deadline; this one only guards against a lost event.
_LONGEST_SECONDS = 10.0


class ProposalOutcome(NamedTuple):
    """What became of a proposal.

    Attributes:
        code: 0 is committed and applied; 2 and 14 mean that nothing was appended.
        remark: a sentence for people.
    """

    code: int
    remark: str | None


class Proposals:
    """Matches outcomes with the handlers that wait for them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ProposalOutcome]] = {}

    async def propose(self, start: Callable[[int], None]) -> ProposalOutcome:
        """Start a proposal and wait for its outcome.

        Args:
            start: hands it to the engine under the number given.
        """
        number = next(self._numbers)
        future: asyncio.Future[ProposalOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            start(number)
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await future
        except TimeoutError:
            return ProposalOutcome(ResponseCode.SYSTEM_ERROR, "outcome unknown: it may still be applied")
        finally:
            del self._waiting[number]

    def decided(self, number: int, code: int, remark: str | None) -> None:
        """Take an outcome from the engine."""
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(ProposalOutcome(code, remark))
