"""What comes back from a call: an answer, or one of four failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ternmq.errors import BrokerBusyError, CallTimeoutError, ConnectionLostError, MQError, UnreachableError

UNREACHABLE = 0
TIMED_OUT = 1
CONNECTION_CLOSED = 2
REFUSED_HERE = 3

NO_FIELDS: dict[str, str] = {}


class Answer(NamedTuple):
    """A peer's response; any code, also one that says no.

    Args:
        code: response code; 0 is success.
        version: the peer's version ordinal.
        remark: the peer's words, for people only.
        fields: header fields of the response.
        body: its body.
    """

    code: int
    version: int
    remark: str | None
    fields: dict[str, str]
    body: bytes


Outcome = Answer | MQError
Done = Callable[[Outcome], None]
"""Takes the outcome of one call; must not block and must not raise."""


def failure(reason: int, address: str, code: int, text: str) -> MQError:
    """Turn a failed call into its exception.

    Args:
        reason: as the engine gives it: 0 unreachable, 1 timed out, 2 connection closed, 3 refused in this process.
        address: the peer, ``host:port``.
        code: request code of the call.
        text: the engine's sentence.
    """
    if reason == UNREACHABLE:
        return UnreachableError(f"{address} cannot be reached: {text}", broker=address)
    if reason == TIMED_OUT:
        return CallTimeoutError(f"{address} did not answer request {code} in time", broker=address)
    if reason == CONNECTION_CLOSED:
        return ConnectionLostError(f"the connection to {address} closed before it answered", broker=address)
    return BrokerBusyError(f"not sent to {address}: {text}", broker=address)
