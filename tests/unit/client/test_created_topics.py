"""Topics that a send makes: found at once, read at once, on every group; on a network in memory, in virtual time."""

import asyncio

import pytest

from support.memory.client import connect, now, numbers, read
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.errors import RouteNotFoundError


def _of_others(groups: int = 1) -> MemoryCluster:
    """Brokers as Apache's: a send makes its topic, and nothing else does without an operator."""
    cluster = MemoryCluster(groups=groups)
    cluster.makes_topics = False
    return cluster


def test_brokers_of_ours_make_a_topic_on_every_group_before_the_first_message_is_sent() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=3)
        async with connect(cluster) as mq, mq.producer("p") as out:
            posted = await asyncio.gather(*(out.post("new", str(number).encode()) for number in range(50)))
            receipts = await asyncio.gather(*posted)
            assert {receipt.queue.broker for receipt in receipts} == {"a", "b", "c"}
            route = mq.parts().metadata.known("new")
            assert route is not None
            assert not route.promised
        assert {name: group.topics["new"] for name, group in cluster.groups.items()} == {"a": 8, "b": 8, "c": 8}
        assert len(cluster.network.sent(30003)) == 3, "one question a group, however many sends wait"

    run(scenario())


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_a_group_that_does_not_answer_keeps_a_first_send_waiting_for_a_second_at_most(fault: str) -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            getattr(cluster, fault)("b0:1")
            began = now()
            receipt = await out.send("new", b"1")
            assert receipt.queue.broker == "a"
            assert now() - began < 2.5
        assert cluster.groups["a"].topics["new"] == 8

    run(scenario())


def test_a_topic_that_exists_is_never_made_smaller_by_a_producer_whose_nameserver_knows_nothing_yet() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=1)
        cluster.create_topic("wide", 16)
        for server in cluster.nameservers.values():
            del server.topics["wide"]
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("wide", b"1")
        assert cluster.groups["a"].topics["wide"] == 16

    run(scenario())


def test_the_first_message_of_a_topic_that_a_send_made_on_one_group_reaches_a_consumer_at_once() -> None:
    async def scenario() -> None:
        cluster = _of_others(groups=2)
        async with connect(cluster) as mq:
            async with mq.producer("p") as out:
                receipt = await out.send("new", b"1")
            began = now()
            async with mq.consumer("g", "new", start="earliest") as inbox:
                (message,) = await read(inbox, 1)
                assert now() - began < 1.0
                assert (message.id, message.queue) == (receipt.id, receipt.queue)
                assert {queue.broker for queue in inbox.queues} == {receipt.queue.broker}

    run(scenario())


@pytest.mark.parametrize("slow", [0.0, 0.2, 2.0])
def test_a_topic_that_a_send_has_made_is_waited_for_until_a_nameserver_shows_it(slow: float) -> None:
    async def scenario() -> None:
        cluster = _of_others()
        cluster.registers_after = slow
        async with connect(cluster) as mq:
            async with mq.producer("p") as out:
                await out.send("new", b"1")
            began = now()
            async with mq.consumer("g", "new", start="earliest") as inbox:
                assert numbers(await read(inbox, 1)) == [1]
            assert now() - began < slow + 0.5

    run(scenario())


def test_a_topic_that_is_never_shown_is_waited_for_as_long_as_the_client_waits_for_a_route() -> None:
    async def scenario() -> None:
        cluster = _of_others()
        cluster.registers_after = 1000.0
        async with connect(cluster, timeout=3.0) as mq:
            async with mq.producer("p") as out:
                await out.send("new", b"1")
            began = now()
            with pytest.raises(RouteNotFoundError, match="new"):
                await mq.consumer("g", "new").open()
            assert 2.9 < now() - began < 4.5

    run(scenario())


def test_a_consumer_takes_the_queues_of_a_group_on_which_a_later_send_makes_its_topic_at_once() -> None:
    async def scenario() -> None:
        cluster = _of_others(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            first = await out.send("new", b"0")
            async with mq.consumer("g", "new", start="earliest") as inbox:
                assert numbers(await read(inbox, 1)) == [0]
                count = 1
                while True:  # queues in turn: some of them are the other group's
                    receipt = await out.send("new", str(count).encode())
                    count += 1
                    if receipt.queue.broker != first.queue.broker:
                        break
                began = now()
                assert sorted(numbers(await read(inbox, count - 1))) == list(range(1, count))
                assert now() - began < 1.0
                assert {queue.broker for queue in inbox.queues} == {"a", "b"}

    run(scenario())


def test_a_topic_that_a_send_makes_has_as_many_queues_as_the_brokers_template_on_each_group_it_reaches() -> None:
    async def scenario() -> None:
        cluster = _of_others(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            for number in range(32):
                await out.send("new", str(number).encode())
            await asyncio.sleep(1)
            route = mq.parts().metadata.known("new")
            assert route is not None
            assert not route.promised
        assert {name: group.topics["new"] for name, group in cluster.groups.items()} == {"a": 8, "b": 8}

    run(scenario())
