"""The official push consumers: what it is given is what went in, each message once, in order where it asks so."""

import pytest

from conformance.clients import GO
from conformance.messages import assert_came_back, by_queue, is_committed_to_the_end
from support.apache import ApacheCluster
from support.battery import Battery, Line, events
from support.processes import wait_for
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 4
COUNT = 24
COMMITTED_SECONDS = 5


def test_a_concurrent_push_consumer_gets_every_message_once_and_commits_what_it_got(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    lines = battery.run(subject.nameservers, "push", topic, group, "*", "first", COUNT)
    assert not events(lines, "timeout")
    consumed = events(lines, "consumed")
    assert len(consumed) == COUNT
    assert_came_back(sent, consumed)
    assert {line["attempts"] for line in consumed} == {0}
    wait_until_committed(subject, battery, topic, group, sent)


def test_a_push_consumer_that_comes_back_goes_on_where_it_stopped(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    battery.run(subject.nameservers, "push", topic, group, "*", "first", COUNT)
    wait_until_committed(subject, battery, topic, group, sent)
    later = events(battery.run(subject.nameservers, "batch", topic, 5), "sent")
    lines = battery.run(subject.nameservers, "push", topic, group, "*", "first", 5)
    assert not events(lines, "timeout")
    assert len(events(lines, "consumed")) == 5
    assert_came_back(later, events(lines, "consumed"))


def test_a_push_consumer_by_tags_gets_those_and_passes_over_the_others(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    found = {"TagB", "中文"}
    if battery.client == GO and isinstance(subject, ApacheCluster):
        # The client counts a tag's hash over its bytes and Java over its characters. Apache's broker passes messages
        # over by the hashes that a client sent, ours counts them itself.
        found.remove("中文")
    wanted = [line for line in sent if line["in"]["tag"] in found]
    lines = battery.run(subject.nameservers, "push", topic, group, "TagB || 中文", "first", len(wanted))
    assert not events(lines, "timeout")
    assert len(events(lines, "consumed")) == len(wanted)
    assert_came_back(wanted, events(lines, "consumed"))


def test_an_orderly_push_consumer_gets_each_queue_in_order_and_waits_where_it_is_held_up(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    lines = battery.run(subject.nameservers, "push-orderly", topic, group, COUNT + QUEUES, 2)
    assert not events(lines, "timeout")
    assert_came_back(sent, events(lines, "consumed"))
    held_up = events(lines, "suspended")
    assert [(line["queue_offset"], line["attempts"]) for line in held_up] == [(2, 0)] * QUEUES
    for queue in by_queue([line for line in lines if line["event"] in {"suspended", "consumed"}]).values():
        offsets = [line["queue_offset"] for line in queue]
        assert offsets == [0, 1, 2, *range(2, len(queue) - 1)], "the message that held the queue up comes again"
        again = [line for line in queue if line["queue_offset"] == 2]
        assert [line["attempts"] for line in again] == [0, 1]
    wait_until_committed(subject, battery, topic, group, sent)


def test_a_consumer_by_sql_is_told_before_it_starts_that_the_broker_does_not_filter_so(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    lines = battery.run(subject.nameservers, "push-sql", topic, group)
    assert not events(lines, "started")
    (refused,) = events(lines, "refused")
    assert "The broker does not support consumer to filter message by SQL92" in _words(refused)


def wait_until_committed(subject: Subject, battery: Battery, topic: str, group: str, sent: list[Line]) -> None:
    """A push consumer that leaves commits one-way: who asks at once may be faster."""
    wait_for(
        lambda: is_committed_to_the_end(sent, battery.run(subject.nameservers, "committed", topic, group)),
        COMMITTED_SECONDS, "everything to be committed",
    )  # fmt: skip


def _words(line: Line) -> str:
    return f"{line['text']} {line['whole']}"
