"""Official clients with a master and a slave: they read on from the slave while the master is down."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.clients import JAVA
from conformance.messages import assert_came_back
from support.battery import Battery, events
from support.processes import wait_for
from support.speaker import messages_shown, messages_taken
from support.tern import TernCluster

pytestmark = [pytest.mark.java, pytest.mark.parametrize("battery", [JAVA], ids=str, indirect=True)]
QUEUES = 4
COUNT = 40


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[TernCluster]:
    """A master and a slave, and three NameServers."""
    running = TernCluster(tmp_path / "cluster", options=("--mode", "async-slave"))
    try:
        running.up()
        yield running
    finally:
        running.down()


def test_a_consumer_that_starts_while_the_master_is_down_reads_on_from_the_slave(
    cluster: TernCluster, battery: Battery, topic: str, group: str
) -> None:
    master, slave = cluster.brokers
    battery.run(cluster.nameservers, "create-topic", topic, QUEUES)
    consumed_until(
        cluster, battery, topic, group, events(battery.run(cluster.nameservers, "sync", topic, COUNT), "sent")
    )
    sent = events(battery.run(cluster.nameservers, "sync", topic, COUNT), "sent")
    assert cluster.master() == master
    cluster.identity(master).kill()
    wait_for(lambda: messages_shown(cluster.address(slave), topic) == 2 * COUNT, 30, "the slave to have everything")
    consumed_until(cluster, battery, topic, group, sent)


def test_a_consumer_far_behind_reads_from_the_slave_that_the_master_names(
    cluster: TernCluster, battery: Battery, topic: str, group: str
) -> None:
    master, slave = cluster.brokers
    # Nothing counts as near: whoever is not at the end of the log is far behind.
    cluster.restart_brokers_with("access_in_memory_percent", 0)
    battery.run(cluster.nameservers, "create-topic", topic, QUEUES)
    sent = [event for _ in range(5) for event in events(battery.run(cluster.nameservers, "sync", topic, COUNT), "sent")]
    wait_for(lambda: cluster.has_all(slave), 30, "the slave to have everything")
    taken = messages_taken(cluster.address(slave))
    assert cluster.master() == master
    consumed_until(cluster, battery, topic, group, sent)
    # A stock client makes up its mind queue by queue, from the answer to the first pull on.
    assert messages_taken(cluster.address(slave)) - taken > COUNT


def consumed_until(
    cluster: TernCluster, battery: Battery, topic: str, group: str, wanted: list[dict[str, object]]
) -> None:
    """Run a push consumer until it has got some messages, unchanged."""
    consumer = battery.start(cluster.nameservers, "long-push", topic, group)
    try:
        ids = {str(line["id"]) for line in wanted}

        def has_all() -> bool:
            return ids <= {str(line["id"]) for line in events(consumer.lines(), "consumed")}

        wait_for(has_all, 90, "all messages to be consumed", every=0.2)
        first = {line["id"]: line for line in reversed(events(consumer.stop(), "consumed")) if str(line["id"]) in ids}
        assert_came_back(wanted, list(first.values()))
    finally:
        consumer.end()
