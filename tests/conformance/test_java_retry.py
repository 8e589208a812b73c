"""Messages that a Java consumer refuses: again after a while, and at last in the dead-letter topic; delay levels."""

import pytest

from conformance.messages import assert_came_back, by_message
from support.battery import Battery, Line, events
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 2
COUNT = 8
MAX_RETRIES = 2
LATE_SECONDS = 3
# The retry topic of a group is made when its first member appears, and that member looks for new queues every 20 s.
FIRST_LATE_SECONDS = 24
LEVEL_SECONDS = {1: 1, 2: 5, 3: 10, 4: 30}


@pytest.mark.parametrize("level", [1, pytest.param(0, marks=pytest.mark.long)])
def test_a_refused_message_comes_again_after_its_delay_and_then_lies_in_the_dead_letter_topic(
    subject: Subject, battery: Battery, topic: str, group: str, level: int
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    poison = [line for line in sent if line["in"]["tag"] == "TagA"]
    deliveries = COUNT + MAX_RETRIES * len(poison)
    lines = battery.run(subject.nameservers, "push-retry", topic, group, deliveries, level)
    assert not events(lines, "timeout")
    consumed = events(lines, "consumed")
    assert len(consumed) == deliveries
    assert_came_back(sent, [line for line in consumed if line["attempts"] == 0])
    tries = by_message(consumed)
    # The broker's own choice is level 3 for the first retry and one more for each that follows.
    waits = [LEVEL_SECONDS[level or 3 + number] for number in range(MAX_RETRIES)]
    for line in poison:
        assert [one["attempts"] for one in tries[line["id"]]] == [0, 1, 2]
        for number, seconds in enumerate(waits):
            before, after = tries[line["id"]][number : number + 2]
            late = FIRST_LATE_SECONDS if number == 0 else LATE_SECONDS
            assert seconds <= (after["at_ms"] - before["at_ms"]) / 1000 + 0.05 <= seconds + late
            _assert_same_content(line, after)
    dead = events(battery.run(subject.nameservers, "pull", f"%DLQ%{group}"), "pulled")
    assert sorted(line["id"] for line in dead) == sorted(line["id"] for line in poison)
    for line in poison:
        (copy,) = [one for one in dead if one["id"] == line["id"]]
        _assert_same_content(line, copy, topic=f"%DLQ%{group}")
        assert copy["attempts"] == MAX_RETRIES + 1
        assert copy["out"]["properties"]["RETRY_TOPIC"] == topic
        assert copy["out"]["properties"]["ORIGIN_MESSAGE_ID"] == line["offset_id"]


def test_a_message_that_an_orderly_consumer_gives_up_lies_in_the_dead_letter_topic_and_the_queue_goes_on(
    subject: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "sync", topic, COUNT), "sent")
    poison = [line for line in sent if line["in"]["tag"] == "TagA"]
    tries_of_poison = list(range(battery.client.orderly_deliveries))
    deliveries = COUNT + len(tries_of_poison[1:]) * len(poison)
    lines = battery.run(subject.nameservers, "push-retry-orderly", topic, group, deliveries)
    assert not events(lines, "timeout")
    tries = by_message(events(lines, "consumed"))
    for line in sent:
        expected = tries_of_poison if line in poison else [0]
        assert [one["attempts"] for one in tries[line["id"]]] == expected, line["number"]
    dead = events(battery.run(subject.nameservers, "pull", f"%DLQ%{group}"), "pulled")
    assert sorted(line["id"] for line in dead) == sorted(line["id"] for line in poison)
    for line in poison:
        (copy,) = [one for one in dead if one["id"] == line["id"]]
        _assert_same_content(line, copy, topic=f"%DLQ%{group}")
        assert copy["out"]["properties"]["RETRY_TOPIC"] == topic


@pytest.mark.parametrize("level", [1, *(pytest.param(level, marks=pytest.mark.long) for level in (2, 3))])
def test_a_message_with_a_delay_level_comes_after_its_time_and_is_otherwise_the_same(
    subject: Subject, battery: Battery, topic: str, group: str, level: int
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    sent = events(battery.run(subject.nameservers, "delayed", topic, COUNT, level), "sent")
    assert {line["status"] for line in sent} == {"SEND_OK"}
    lines = battery.run(subject.nameservers, "push", topic, group, "*", "first", COUNT)
    assert not events(lines, "timeout")
    consumed = {line["id"]: line for line in events(lines, "consumed")}
    assert len(consumed) == len(events(lines, "consumed")) == COUNT
    for line in sent:
        came = consumed[line["id"]]
        _assert_same_content(line, came)
        assert LEVEL_SECONDS[level] <= (came["stored_ms"] - came["born_ms"]) / 1000 + 0.005 <= LEVEL_SECONDS[level] + 3
        # What held the message back stays on it.
        left = {name: came["out"]["properties"].get(name) for name in ("DELAY", "REAL_TOPIC", "REAL_QID")}
        assert left == {"DELAY": str(level), "REAL_TOPIC": topic, "REAL_QID": str(came["queue"])}


def _assert_same_content(sent: Line, came: Line, topic: str | None = None) -> None:
    for name in ("body", "tag", "keys", "flag"):
        assert came["out"][name] == sent["in"][name], f"{name} of message {sent['number']}"
    assert came["out"]["topic"] == topic or came["out"]["topic"] == sent["in"]["topic"]
    assert sent["in"]["properties"].items() <= came["out"]["properties"].items()
    assert came["id"] == sent["id"]
