"""The official Java client looks messages up: by key, by unique id, by offset id."""

import pytest

from conformance.messages import assert_came_back
from support.battery import Battery, Line, events
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 2
COUNT = 12
NO_SUCH_KEY, NO_SUCH_OFFSET = "nobody", 1 << 40


def test_every_key_of_a_message_finds_it_and_one_that_nobody_set_finds_nothing(
    subject: Subject, battery: Battery, topic: str
) -> None:
    sent = _sent(subject, battery, topic)
    by_key = {key: line for line in sent for key in (line["in"]["keys"] or "").split()}
    assert len(by_key) >= COUNT
    lines = battery.run(subject.nameservers, "query", topic, *by_key, NO_SUCH_KEY)
    _assert_found(by_key, events(lines, "queried"))
    assert [line["asked"] for line in events(lines, "not-found")] == [NO_SUCH_KEY]


def test_a_unique_id_finds_its_message(subject: Subject, battery: Battery, topic: str) -> None:
    by_id = {line["id"]: line for line in _sent(subject, battery, topic)}
    _assert_found(by_id, events(battery.run(subject.nameservers, "view", topic, *by_id), "viewed"))


def test_an_offset_id_finds_its_message_and_one_beyond_the_end_finds_nothing(
    subject: Subject, battery: Battery, topic: str
) -> None:
    by_id = {line["offset_id"]: line for line in _sent(subject, battery, topic)}
    beyond = next(iter(by_id))[:16] + f"{NO_SUCH_OFFSET:016X}"
    lines = battery.run(subject.nameservers, "view", topic, *by_id, beyond)
    _assert_found(by_id, events(lines, "viewed"))
    assert [line["asked"] for line in events(lines, "not-found")] == [beyond]


def _sent(subject: Subject, battery: Battery, topic: str) -> list[Line]:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    return events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")


def _assert_found(sent: dict[str, Line], found: list[Line]) -> None:
    assert [line["asked"] for line in found] == list(sent)
    for line in found:
        # The client knows which broker answered, and does not write it into the message.
        assert line["broker"] is None
        expected = sent[line["asked"]]
        assert_came_back([expected], [{**line, "broker": expected["broker"]}])
