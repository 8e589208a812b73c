"""Two official Java consumers of one group: they share the queues, and who stays takes over from who leaves."""

import pytest

from conformance.messages import assert_came_back
from support.battery import Battery, events
from support.subject import Subject

pytestmark = pytest.mark.java
QUEUES = 4
# Without the word of the broker a client looks every 20 s; a dead connection is given up after 120 s.
AT_ONCE_MS = 10_000
# An orderly consumer of 4.9 that finds a queue still locked looks again only then.
LOCKED_MS = 25_000


@pytest.mark.parametrize("orderly", [False, True], ids=["concurrent", "orderly"])
def test_two_consumers_share_the_queues_and_one_that_unregisters_leaves_its_share_to_the_other(
    subject: Subject, battery: Battery, topic: str, group: str, orderly: bool
) -> None:
    battery.run(subject.nameservers, "create-topic", topic, QUEUES)
    lines = battery.run(subject.nameservers, "rebalance", topic, group, str(orderly).lower())
    assert not events(lines, "timeout")
    stages = {line["stage"]: line for line in events(lines, "shared")}
    assert all(line["reached"] for line in stages.values())
    assert stages["alone"]["first"] == stages["left"]["first"] == [0, 1, 2, 3]
    assert sorted(stages["both"]["first"] + stages["both"]["second"]) == [0, 1, 2, 3]
    limit = LOCKED_MS if orderly and str(battery.client).startswith("4.") else AT_ONCE_MS
    assert stages["both"]["took_ms"] < limit
    assert stages["left"]["took_ms"] < limit
    consumed = events(lines, "consumed")
    assert_came_back(events(lines, "sent"), consumed)
    assert len(consumed) == len(events(lines, "sent")), "nothing came twice when queues changed hands"
    of_both, after = consumed[: len(consumed) // 2], consumed[len(consumed) // 2 :]
    for member in ("first", "second"):
        queues = {line["queue"] for line in of_both if line["member"] == member}
        assert queues == set(stages["both"][member])
    assert {line["member"] for line in after} == {"first"}
