"""Consumer offsets and the bounds of queues, asked by the official Java client."""

import pytest

from support.battery import Battery, events
from support.subject import Subject

pytestmark = pytest.mark.java


def test_offsets_that_the_java_client_commits_are_those_it_reads_back(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 3)
    battery.run(subject.nameservers, "sync", topic, 10)
    committed = events(battery.run(subject.nameservers, "offsets", topic), "committed")
    assert len(committed) == 3
    for line in committed:
        assert line["unknown"] in {-1, 0}, "a new group starts at 0 on a young queue, or without an offset"
        assert line["stored"] == line["max"]
        assert line["lowered"] == line["min"], "an update may go backwards when a client asks for it"
        assert line["one_way"] == line["max"]


def test_bounds_and_search_by_time_agree_with_the_stored_messages(
    subject: Subject, battery: Battery, topic: str
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, 2)
    battery.run(subject.nameservers, "sync", topic, 12)
    pulled = events(battery.run(subject.nameservers, "pull", topic), "pulled")
    for bounds in events(battery.run(subject.nameservers, "offsets", topic), "bounds"):
        mine = [line for line in pulled if line["queue"] == bounds["queue"]]
        assert (bounds["min"], bounds["max"]) == (0, len(mine))
        assert bounds["earliest_ms"] == mine[0]["stored_ms"]
        assert (bounds["at_zero"], bounds["at_earliest"], bounds["at_future"]) == (0, 0, len(mine))
    middle = pulled[len(pulled) // 2]
    (searched,) = events(
        battery.run(subject.nameservers, "search", topic, middle["queue"], middle["stored_ms"]), "searched"
    )
    mine = [line for line in pulled if line["queue"] == middle["queue"]]
    assert searched["queue_offset"] == min(
        line["queue_offset"] for line in mine if line["stored_ms"] >= middle["stored_ms"]
    )
