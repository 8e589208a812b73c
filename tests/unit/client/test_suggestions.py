"""A consumer reads from the broker that the last answer named, and from the master when that one fails."""

import asyncio

from support.memory.client import cluster_with_topic, connect, numbers, read, send
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run

MASTER, SLAVE, SLAVE_ID = "a0:1", "a2:1", 3


def asked(cluster: MemoryCluster) -> list[str]:
    """Who was asked for messages, in order."""
    return [address for address, _ in cluster.network.sent(11)]


def test_pulls_go_to_the_slave_that_the_master_names_and_back_when_the_slave_names_the_master() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.brokers[MASTER].suggests = SLAVE_ID
        cluster.brokers[SLAVE].suggests = SLAVE_ID
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", pull_batch=4) as inbox:
            await send(cluster, range(20))
            assert numbers(await read(inbox, 20)) == list(range(20))
            cluster.brokers[MASTER].suggests = cluster.brokers[SLAVE].suggests = 0
            before = asked(cluster)
            assert before[0] == MASTER
            assert SLAVE in before[1:]
            await send(cluster, range(20, 30))
            assert numbers(await read(inbox, 10)) == list(range(20, 30))
            await asyncio.sleep(30)
            assert set(asked(cluster)[-2:]) == {MASTER}
        assert cluster.groups["a"].offsets["g", "t", 0] == 30

    run(scenario())


def test_what_was_read_from_a_slave_is_committed_at_the_master_and_never_by_a_pull() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(40))
        cluster.brokers[MASTER].suggests = cluster.brokers[SLAVE].suggests = SLAVE_ID
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", pull_batch=4) as inbox:
            await read(inbox, 40)
            await asyncio.sleep(20)
            assert cluster.groups["a"].offsets["g", "t", 0] == 40
        to_slave = [fields for address, fields in cluster.network.sent(11) if address == SLAVE]
        assert len(to_slave) > 5
        assert not [fields for fields in to_slave if int(fields["sysFlag"]) & 1]

    run(scenario())


def test_a_slave_that_fails_sends_the_consumer_back_to_the_master() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(4))
        cluster.brokers[MASTER].suggests = cluster.brokers[SLAVE].suggests = SLAVE_ID
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", pull_batch=4) as inbox:
            await read(inbox, 4)
            cluster.kill(SLAVE)
            await send(cluster, range(4, 8))
            async with asyncio.timeout(1):
                assert numbers(await read(inbox, 4)) == [4, 5, 6, 7]

    run(scenario())


def test_a_broker_that_no_route_knows_is_not_looked_for() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.brokers[MASTER].suggests = 9
        await send(cluster, range(8))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", pull_batch=4) as inbox:
            assert numbers(await read(inbox, 8)) == list(range(8))
        assert set(asked(cluster)) == {MASTER}

    run(scenario())
