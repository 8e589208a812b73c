"""One table from response code to error."""

import pytest

from ternmq.errors import (
    BrokerBusyError,
    MQError,
    NotFoundError,
    NotWritableError,
    OutcomeUnknownError,
    RejectedError,
    ServerError,
    StoredUnconfirmedError,
)
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.responses import RESPONSES, response_error


@pytest.mark.parametrize(
    ("code", "sending", "kind"),
    [
        (1, True, OutcomeUnknownError),
        (1, False, ServerError),
        (2, True, BrokerBusyError),
        (14, True, NotWritableError),
        (10, True, StoredUnconfirmedError),
        (12, True, StoredUnconfirmedError),
        (22, False, NotFoundError),
        (4711, True, ServerError),
    ],
)
def test_a_code_has_its_error(code: int, sending: bool, kind: type[MQError]) -> None:
    error = response_error(code, "remark", broker="b:1", sending=sending)
    assert type(error) is kind
    assert (error.code, error.remark, error.broker) == (code, "remark", "b:1")


@pytest.mark.parametrize("code", [2, 14])
def test_busy_and_not_leader_are_certain_from_our_brokers_only(code: int) -> None:
    ours, theirs = (response_error(code, None, sending=True, ternmq=ours) for ours in (True, False))
    assert isinstance(ours, RejectedError)
    assert isinstance(theirs, RejectedError)
    assert (ours.certain, theirs.certain) == (True, False)


def test_nothing_that_may_be_stored_counts_as_decided_before_the_append() -> None:
    undecided = {code for code, rule in RESPONSES.items() if not rule.before_append}
    assert {1, 10, 11, 12} <= undecided
    assert ResponseCode.SUCCESS not in RESPONSES


def test_a_send_that_may_be_stored_never_raises_a_rejection() -> None:
    for code, rule in RESPONSES.items():
        if issubclass(rule.on_send, OutcomeUnknownError):
            assert not rule.before_append, code
