"""What a failed try of a send means: is the message certainly not stored, and is another try worth it. Pure."""

from __future__ import annotations

from ternmq.errors import (
    BrokerBusyError,
    CallTimeoutError,
    ConnectionLostError,
    MQError,
    NotWritableError,
    OutcomeUnknownError,
    SendTimeoutError,
    UnreachableError,
)
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.responses import response_error, response_rule
from ternmq.remoting import Answer, Outcome

WAIT = 0
"""Nothing was stored and the role moved: wait for the route, which is not a try."""
RETRY = 1
"""Try again, on another broker if there is one, as long as tries are left."""
FAIL = 2
"""The same on every broker."""


def retry_decision(outcome: Outcome) -> int:
    """What to do after a try that was not a success: `WAIT`, `RETRY` or `FAIL`."""
    if isinstance(outcome, Answer):
        if outcome.code == ResponseCode.SERVICE_NOT_AVAILABLE:
            return WAIT
        return RETRY if response_rule(outcome.code).retry_send else FAIL
    if isinstance(outcome, UnreachableError | BrokerBusyError):  # nothing was sent
        return WAIT
    return RETRY if isinstance(outcome, CallTimeoutError | ConnectionLostError) else FAIL


def is_ambiguous(outcome: Outcome) -> bool:
    """Whether the message may be stored although the try failed: code 1, no answer in time, a broken connection."""
    if isinstance(outcome, Answer):
        return outcome.code == ResponseCode.SYSTEM_ERROR
    return isinstance(outcome, CallTimeoutError | ConnectionLostError)


def send_error(
    last: Outcome | None, address: str, what: str, *, ambiguous: bool, in_time: bool, why_no_leader: str = ""
) -> MQError:
    """The exception of a send whose tries are used up.

    Args:
        last: outcome of the last try; None if there was none.
        address: where the last try went; empty if there was none.
        what: topic or queue, for the sentence.
        ambiguous: whether any try may have stored the message. Then no later refusal makes it certain again.
        in_time: whether the send ended before its timeout.
        why_no_leader: what is known of masters that were not found, to be added to such an error.
    """
    if ambiguous:
        if isinstance(last, CallTimeoutError) or not in_time:
            return SendTimeoutError(
                f"send to {what} was not acknowledged in time, last tried at {address}; it may be stored",
                broker=address,
            )
        return OutcomeUnknownError(
            f"send to {what} has an unknown outcome, it may be stored: {_words(last)}",
            code=last.code if last is not None else None,
            broker=address,
            remark=last.remark if last is not None else None,
        )
    if isinstance(last, Answer):
        # Only our brokers name the leader's term; from them a refusal is certain.
        ours = "leaderTerm" in last.fields
        return response_error(last.code, last.remark, broker=address, sending=True, ternmq=ours)
    if isinstance(last, MQError):
        return last
    return NotWritableError(f"send to {what}: its group has shown no leader in time; nothing was sent{why_no_leader}")


def _words(outcome: Outcome | None) -> str:
    if outcome is None:
        return "its master was replaced before it answered"
    if isinstance(outcome, Answer):
        return f"code {outcome.code}, {outcome.remark}"
    return str(outcome)
