"""Where the official Java consumer begins: at the first offset, the last, or a time."""

import math
import time
from datetime import datetime

import pytest

from conformance.messages import assert_came_back
from support.battery import Battery, Line, events
from support.processes import wait_for
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 2
COUNT = 8


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_new_group_on_a_young_topic_begins_at_its_first_message_whatever_it_asks_for(
    subject: Subject, battery: Battery, topic: str, group: str, where: str
) -> None:
    """The broker answers 0 to a new group while nothing is old: who consumes the start of a topic misses nothing."""
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    lines = battery.run(subject.nameservers, "push", topic, group, "*", where, COUNT)
    assert not events(lines, "timeout")
    assert_came_back(sent, events(lines, "consumed"))


def test_a_broadcast_consumer_from_the_first_offset_gets_the_old_and_the_new(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    old, new, consumed = _broadcast(subject, battery, topic, group, "first", COUNT)
    assert len(consumed) == 2 * COUNT
    assert_came_back(old + new, consumed)


def test_a_broadcast_consumer_from_the_last_offset_gets_only_what_comes_after_it(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    _, new, consumed = _broadcast(subject, battery, topic, group, "last", 0)
    assert len(consumed) == COUNT
    assert_came_back(new, consumed)


def test_a_broadcast_consumer_from_a_time_gets_what_was_stored_then_or_later(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    battery.run(subject.nameservers, "sync", topic, COUNT)
    # The client takes whole seconds.
    border = math.floor(time.time()) + 1
    wait_for(lambda: time.time() >= border, 2, "the next second")
    old, new, consumed = _broadcast(subject, battery, topic, group, _as_java(border), COUNT)
    assert len(consumed) == 2 * COUNT
    assert_came_back(old + new, consumed)


def _broadcast(
    subject: Subject, battery: Battery, topic: str, group: str, where: str, old_expected: int
) -> tuple[list[Line], list[Line], list[Line]]:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    old = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    lines = battery.run(subject.nameservers, "push-broadcast", topic, group, where, old_expected, COUNT)
    assert not events(lines, "timeout")
    return old, events(lines, "sent"), events(lines, "consumed")


def _as_java(seconds: int) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y%m%d%H%M%S")  # noqa: DTZ006  # the client reads local time
