"""Names and numbers that Python must write itself are those of the engine, which has all of them."""

from ternmq import _core
from ternmq.broker.handlers.admin.groups import MAX_RETRY_QUEUES
from ternmq.broker.handlers.admin.topics import MAX_ASKED_QUEUES
from ternmq.client.reader import _GROUP
from ternmq.config.apache_keys import BROKER_KEYS
from ternmq.config.quantities import parse_duration_ms
from ternmq.config.settings import BROKER
from ternmq.config.timing import TICK_MS
from ternmq.protocol.codes import RequestCode, ResponseCode

OWN_CODES = 30_000
"""Codes of requests from here on are ours, and Python's alone."""


def test_requests_have_rocketmqs_codes() -> None:
    codes = {code.name: int(code) for code in RequestCode if code < OWN_CODES}
    assert codes.items() <= _core.REQUEST_CODES.items()
    assert max(number for number in _core.REQUEST_CODES.values() if number < 200_000) < OWN_CODES


def test_answers_have_rocketmqs_codes() -> None:
    assert {code.name: int(code) for code in ResponseCode}.items() <= _core.RESPONSE_CODES.items()


def test_delay_levels_that_a_broker_conf_may_name_are_those_of_the_engine() -> None:
    (levels,) = BROKER_KEYS["messageDelayLevel"].harmless
    assert tuple(parse_duration_ms(level, "level") for level in levels.split()) == _core.DELAYS_MS


def test_no_limit_of_queues_is_beyond_what_a_group_holds() -> None:
    automatic = next(row.most for row in BROKER if row.name == "default_topic_queues")
    assert automatic is not None
    assert max(MAX_ASKED_QUEUES, MAX_RETRY_QUEUES, automatic) <= _core.MAX_QUEUES


def test_a_reader_without_a_group_uses_one_that_every_broker_has() -> None:
    assert _GROUP in _core.SYSTEM_GROUPS


def test_times_are_checked_in_the_ticks_in_which_they_are_counted() -> None:
    assert TICK_MS == _core.TICK_MS


def test_every_kind_of_event_has_its_own_number() -> None:
    assert len(set(_core.EVENT_KINDS.values())) == len(_core.EVENT_KINDS)
