"""The official Java lite pull consumer, which pulls with a code of its own: subscribed, and with chosen queues."""

import pytest

from conformance.messages import assert_came_back, is_committed_to_the_end
from support.battery import Battery, events
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 2
COUNT = 16


def test_a_subscribed_lite_pull_consumer_gets_every_message_once_and_commits_what_it_got(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    lines = battery.run(subject.nameservers, "lite-subscribe", topic, group, "*", COUNT)
    assert not events(lines, "timeout")
    assert len(events(lines, "polled")) == COUNT
    assert_came_back(sent, events(lines, "polled"))
    assert is_committed_to_the_end(sent, battery.run(subject.nameservers, "committed", topic, group))


def test_a_lite_pull_consumer_by_tags_gets_exactly_those(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    wanted = [line for line in sent if line["in"]["tag"] == "TagB"]
    lines = battery.run(subject.nameservers, "lite-subscribe", topic, group, "TagB", len(wanted))
    assert not events(lines, "timeout")
    assert len(events(lines, "polled")) == len(wanted)
    assert_came_back(wanted, events(lines, "polled"))


def test_a_lite_pull_consumer_begins_wherever_it_seeks_to(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 1)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    lines = battery.run(subject.nameservers, "lite-assign", topic, group, COUNT, 3)
    assert not events(lines, "timeout")
    (searched,) = events(lines, "searched")
    assert_came_back(sent, events(lines, "assigned"))
    assert_came_back(sent, events(lines, "from-begin"))
    first = next(line for line in events(lines, "from-begin") if line["stored_ms"] >= searched["timestamp"])
    assert searched["queue_offset"] == first["queue_offset"]
    for event, offset in {"from-begin": 0, "from-offset": 3, "from-time": first["queue_offset"]}.items():
        offsets = [line["queue_offset"] for line in events(lines, event)]
        assert offsets == list(range(offset, COUNT)), event
    assert not events(lines, "from-end")
