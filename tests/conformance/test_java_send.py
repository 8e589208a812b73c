"""The official Java producer sends to us; what the official Java consumer then reads is what went in."""

import pytest

from conformance.messages import assert_came_back, by_queue
from support.battery import Battery, events
from support.processes import wait_for
from support.speaker import ROUTE, ask
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 4
COUNT = 24


def test_a_topic_made_by_the_java_client_has_the_queues_it_asked_for(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 3)
    queues = events(battery.run(subject.nameservers, "pull", topic), "queue")
    assert [queue["queue"] for queue in queues] == [0, 1, 2]
    assert [queue["max"] for queue in queues] == [0, 0, 0]


def test_synchronous_sends_come_back_field_by_field_and_in_order(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    pulled = events(battery.run(subject.nameservers, "pull", topic), "pulled")
    assert len(sent) == len(pulled) == COUNT
    assert_came_back(sent, pulled)
    for queue in by_queue(sent).values():
        offsets = [line["queue_offset"] for line in queue]
        assert offsets == sorted(offsets), "one producer's sends to one queue keep their order"
    for queue in by_queue(pulled).values():
        assert [line["queue_offset"] for line in queue] == list(range(len(queue)))
        stored = [line["stored_ms"] for line in queue]
        assert stored == sorted(stored)


def test_asynchronous_sends_come_back_field_by_field(subject: Subject, battery: Battery, topic: str) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    lines = battery.run(subject.nameservers, "async", topic, COUNT)
    assert not events(lines, "failed")
    assert not events(lines, "unanswered")
    sent = events(lines, "sent")
    assert len(sent) == COUNT
    assert_came_back(sent, events(battery.run(subject.nameservers, "pull", topic), "pulled"))


def test_one_way_sends_arrive_although_nobody_answers(subject: Subject, battery: Battery, topic: str) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "oneway", topic, COUNT), "sent")
    pulled = events(battery.run(subject.nameservers, "pull", topic), "pulled")
    assert len(pulled) == COUNT + QUEUES, "and one fence for each queue"
    assert_came_back(sent, pulled)


def test_a_batch_is_stored_as_single_messages_with_consecutive_offsets_and_ids_of_their_own(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "batch", topic, 12), "sent")
    pulled = events(battery.run(subject.nameservers, "pull", topic), "pulled")
    assert len({line["id"] for line in sent}) == len({line["offset_id"] for line in sent}) == len(pulled) == 12
    assert_came_back(sent, pulled)


def test_the_first_send_to_an_unknown_topic_makes_it(subject: Subject, battery: Battery, topic: str) -> None:
    sent = events(battery.run(subject.nameservers, "unknown-topic", topic), "sent")
    # The broker registers it right after. The producer knows it by its answer; the consumer asks one NameServer, once.
    wait_for(lambda: is_routed(subject, topic), 30, "each NameServer to have the topic")
    lines = battery.run(subject.nameservers, "pull", topic)
    assert len(events(lines, "queue")) == 4, "the template's number of queues, as the producer asked"
    assert_came_back(sent, events(lines, "pulled"))


def is_routed(subject: Subject, topic: str) -> bool:
    """Whether each NameServer has a route of the topic."""
    return all(ask(address, ROUTE, {"topic": topic}).code == 0 for address in subject.nameserver_addresses)
