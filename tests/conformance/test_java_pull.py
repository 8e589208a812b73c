"""The official Java pull consumer reads from us: bounds, filters, the end of a queue, waiting there."""

import base64

import pytest

from support.battery import Battery, events
from support.subject import Subject

pytestmark = pytest.mark.java


def test_a_tag_expression_lets_through_exactly_the_tags_it_names(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 2)
    sent = events(battery.run(subject.nameservers, "sync", topic, 16), "sent")
    for expression, tags in {"TagA": {"TagA"}, "TagB || 中文": {"TagB", "中文"}, "Nobody": set()}.items():
        pulled = events(battery.run(subject.nameservers, "pull", topic, expression), "pulled")
        wanted = sorted(line["id"] for line in sent if line["in"]["tag"] in tags)
        assert sorted(line["id"] for line in pulled) == wanted, expression


def test_the_bounds_of_a_queue_are_those_of_its_messages(subject: Subject, battery: Battery, topic: str) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 2)
    battery.run(subject.nameservers, "sync", topic, 7)
    lines = battery.run(subject.nameservers, "pull", topic)
    assert sum(queue["max"] - queue["min"] for queue in events(lines, "queue")) == 7
    for queue in events(lines, "queue"):
        offsets = [line["queue_offset"] for line in events(lines, "pulled") if line["queue"] == queue["queue"]]
        assert offsets == list(range(queue["min"], queue["max"]))


def test_a_pull_at_the_end_finds_nothing_new_and_one_beyond_it_is_sent_back_to_the_end(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 1)
    battery.run(subject.nameservers, "sync", topic, 3)
    lines = battery.run(subject.nameservers, "edges", topic)
    (at_end,), (beyond,) = events(lines, "at-end"), events(lines, "beyond")
    assert (at_end["status"], at_end["next"], at_end["min"], at_end["max"]) == ("NO_NEW_MSG", 3, 0, 3)
    assert (beyond["status"], beyond["next"], beyond["min"], beyond["max"]) == ("OFFSET_ILLEGAL", 3, 0, 3)


def test_a_pull_at_the_end_waits_until_a_message_arrives(subject: Subject, battery: Battery, topic: str) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 1)
    (woken,) = events(battery.run(subject.nameservers, "edges", topic), "woken")
    assert woken["status"] == "FOUND"
    assert base64.b64decode(woken["body"]) == b"wakes the pull"
    assert woken["next"] == woken["offset"] + 1
    # The message is sent after a second: an answer long before it came without waiting, one long after it by a sweep.
    assert 900 <= woken["waited_ms"] <= 3000
