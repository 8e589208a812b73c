"""Official clients through the death of a master: everything they were told is stored is there."""

import pytest

from conformance.clients import GO, JAVA
from conformance.messages import assert_came_back
from support.battery import Battery, events
from support.processes import wait_for
from support.subject import Subject

pytestmark = [pytest.mark.java, pytest.mark.parametrize("battery", [JAVA, GO], ids=str, indirect=True)]
ACKNOWLEDGED_BEFORE = 200
ACKNOWLEDGED_AFTER = 200
# The Go client asks for routes every 30 s, and after that a consumer's next heartbeat may be as far away.
FAIL_OVER_SECONDS = 90


def test_nothing_a_producer_was_acknowledged_is_lost_when_the_master_is_killed(
    replicated: Subject, battery: Battery, topic: str
) -> None:
    battery.run(replicated.nameservers, "create-topic", topic, 4)
    wait_for(lambda: replicated.topic_is_everywhere(topic), 60, "the topic to reach every replica")
    producer = battery.start(replicated.nameservers, "long-producer", topic)
    try:
        wait_for(lambda: producer.count("sent") >= ACKNOWLEDGED_BEFORE, 60, "the producer to get going")
        old = replicated.master()
        assert old is not None
        replicated.identity(old).kill()
        at_death = producer.count("sent")
        wait_for(lambda: replicated.master() not in {None, old}, FAIL_OVER_SECONDS, "another master to show")
        wait_for(lambda: producer.count("sent") >= at_death + ACKNOWLEDGED_AFTER, FAIL_OVER_SECONDS, "sends to go on")
        lines = producer.stop()
    finally:
        producer.end()
    pulled = events(battery.run(replicated.nameservers, "pull", topic), "pulled")
    sent = events(lines, "sent")
    assert_came_back(sent, pulled)
    invoked = {str(line["number"]) for line in events(lines, "invoked")}
    numbers = [line["out"]["properties"]["number"] for line in pulled]
    assert set(numbers) <= invoked, "nothing is read that was not sent"
    assert len(set(numbers)) == len(numbers), "the producer did not retry, so nothing is there twice"


@pytest.mark.long
def test_a_push_consumer_gets_everything_acknowledged_although_the_master_is_killed(
    replicated: Subject, battery: Battery, topic: str, group: str
) -> None:
    battery.run(replicated.nameservers, "create-topic", topic, 4)
    wait_for(lambda: replicated.topic_is_everywhere(topic), 60, "the topic to reach every replica")
    consumer = battery.start(replicated.nameservers, "long-push", topic, group)
    producer = battery.start(replicated.nameservers, "long-producer", topic)
    try:
        wait_for(lambda: consumer.count("consumed") >= ACKNOWLEDGED_BEFORE, 60, "the consumer to get going")
        old = replicated.master()
        assert old is not None
        replicated.identity(old).kill()
        at_death = producer.count("sent")
        wait_for(lambda: producer.count("sent") >= at_death + ACKNOWLEDGED_AFTER, FAIL_OVER_SECONDS, "sends to go on")
        sent = events(producer.stop(), "sent")
        wanted = {line["id"] for line in sent}
        wait_for(
            lambda: wanted <= {line["id"] for line in events(consumer.lines(), "consumed")},
            FAIL_OVER_SECONDS, "everything acknowledged to be consumed", every=0.2,
        )  # fmt: skip
        consumed = events(consumer.stop(), "consumed")
    finally:
        producer.end()
        consumer.end()
    # Offsets are committed every 5 s, so what came before the kill may come again; nothing comes changed.
    first = {line["id"]: line for line in reversed(consumed)}
    assert_came_back(sent, list(first.values()))
