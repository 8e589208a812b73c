"""What each response code means to a caller: one table, from code to error.

The column *decided before append* is what makes a refusal of a send certain: a ternmq broker gives these codes only if
nothing was appended (rule L32 of `docs/consensus.md`). Java brokers also give some of them after an append, so from
other brokers a refusal is not certain.
"""

from typing import NamedTuple

from ternmq.errors import (
    AccessDeniedError,
    BrokerBusyError,
    MessageIllegalError,
    MQError,
    NotFoundError,
    NotWritableError,
    OffsetOutOfRangeError,
    OutcomeUnknownError,
    RejectedError,
    RouteNotFoundError,
    ServerError,
    StoredUnconfirmedError,
    UnsupportedError,
)
from ternmq.protocol.codes import ResponseCode


class ResponseRule(NamedTuple):
    """One row.

    Attributes:
        on_send: what a send raises.
        otherwise: what any other request raises.
        before_append: a ternmq broker decides this before it appends anything.
        retry_send: a producer tries again, on another broker if there is one.
    """

    on_send: type[MQError]
    otherwise: type[MQError]
    before_append: bool
    retry_send: bool


RESPONSES: dict[int, ResponseRule] = {
    #                                                      on send                 otherwise             before  retry
    ResponseCode.SYSTEM_ERROR: ResponseRule(OutcomeUnknownError, ServerError, False, True),
    ResponseCode.SYSTEM_BUSY: ResponseRule(BrokerBusyError, BrokerBusyError, True, True),
    ResponseCode.REQUEST_CODE_NOT_SUPPORTED: ResponseRule(UnsupportedError, UnsupportedError, True, False),
    ResponseCode.FLUSH_DISK_TIMEOUT: ResponseRule(StoredUnconfirmedError, ServerError, False, False),
    ResponseCode.SLAVE_NOT_AVAILABLE: ResponseRule(StoredUnconfirmedError, ServerError, False, False),
    ResponseCode.FLUSH_SLAVE_TIMEOUT: ResponseRule(StoredUnconfirmedError, ServerError, False, False),
    ResponseCode.MESSAGE_ILLEGAL: ResponseRule(MessageIllegalError, MessageIllegalError, True, False),
    ResponseCode.SERVICE_NOT_AVAILABLE: ResponseRule(NotWritableError, NotWritableError, True, True),
    ResponseCode.VERSION_NOT_SUPPORTED: ResponseRule(UnsupportedError, UnsupportedError, True, False),
    ResponseCode.NO_PERMISSION: ResponseRule(AccessDeniedError, AccessDeniedError, True, True),
    ResponseCode.TOPIC_NOT_EXIST: ResponseRule(RouteNotFoundError, RouteNotFoundError, True, True),
    ResponseCode.PULL_OFFSET_MOVED: ResponseRule(ServerError, OffsetOutOfRangeError, False, False),
    ResponseCode.QUERY_NOT_FOUND: ResponseRule(ServerError, NotFoundError, False, False),
    ResponseCode.SUBSCRIPTION_NOT_EXIST: ResponseRule(ServerError, NotFoundError, False, False),
    ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST: ResponseRule(ServerError, NotFoundError, False, False),
    ResponseCode.INVALID_PARAMETER: ResponseRule(RejectedError, ServerError, True, False),
    ResponseCode.NO_BUYER_ID: ResponseRule(ServerError, ServerError, False, True),
    ResponseCode.NOT_IN_CURRENT_UNIT: ResponseRule(ServerError, ServerError, False, True),
    ResponseCode.CONSUMER_NOT_ONLINE: ResponseRule(ServerError, NotFoundError, False, False),
    ResponseCode.GO_AWAY: ResponseRule(NotWritableError, NotWritableError, False, True),
}

_OTHER = ResponseRule(ServerError, ServerError, False, False)


def response_rule(code: int) -> ResponseRule:
    """Look up a code; unknown ones are plain server errors."""
    return RESPONSES.get(code, _OTHER)


def response_error(
    code: int, remark: str | None, *, broker: str | None = None, sending: bool = False, ternmq: bool = False
) -> MQError:
    """Make the error for an answer other than success.

    Args:
        code: response code.
        remark: the peer's words.
        broker: its address or name.
        sending: the request was a send of messages.
        ternmq: the peer is known to be one of ours, so that a refusal of a send is certain.
    """
    rule = response_rule(code)
    kind = rule.on_send if sending else rule.otherwise
    message = f"{broker or 'the peer'} answered {_name(code)}" + (f": {remark}" if remark else "")
    if issubclass(kind, RejectedError):
        certain = rule.before_append and (ternmq or code not in _UNCERTAIN_ELSEWHERE)
        return kind(message, code=code, broker=broker, remark=remark, certain=certain)
    return kind(message, code=code, broker=broker, remark=remark)


# Java brokers give these after an append, too (a full page cache, a store that shuts down).
_UNCERTAIN_ELSEWHERE = frozenset({ResponseCode.SYSTEM_BUSY, ResponseCode.SERVICE_NOT_AVAILABLE})


def _name(code: int) -> str:
    try:
        return f"{code} {ResponseCode(code).name}"
    except ValueError:
        return str(code)
