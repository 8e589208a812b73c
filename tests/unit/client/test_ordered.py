"""Reading in order: locks, one message of a queue at a time, failures that stop their queue."""

import asyncio
from collections import defaultdict

import pytest

from support.memory.client import cluster_with_topic, connect, now, numbers, read, send
from support.memory.virtual_time import run
from ternmq.client.messages import Message
from ternmq.errors import ConfigError, Reject, SettlementLostError, UnsupportedError


def test_a_failure_stops_its_queue_for_a_second_and_the_same_message_comes_again() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as inbox:
            began = now()
            async with await anext(inbox):
                raise ValueError("as the test wants it")
            messages = await read(inbox, 2)
            assert 1.0 <= now() - began < 1.1
        assert [(int(message.body), message.attempt) for message in messages] == [(1, 2), (2, 1)]
        assert not cluster.network.sent(36)

    run(scenario())


def test_one_message_of_a_queue_is_out_at_a_time_however_many_handlers_there_are() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=3)
        await send(cluster, range(30))
        running: dict[int, int] = defaultdict(int)
        seen: dict[int, list[int]] = defaultdict(list)
        most = 0

        async def handle(message: Message[bytes]) -> None:
            nonlocal most
            running[message.queue.id] += 1
            most = max(most, sum(running.values()))
            assert running[message.queue.id] == 1
            await asyncio.sleep(0.1)
            running[message.queue.id] -= 1
            seen[message.queue.id].append(message.queue_offset)

        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as inbox:
            serving = asyncio.create_task(inbox.run(handle, concurrency=8))
            await asyncio.sleep(3)
            serving.cancel()
        assert most == 3, "queues do not wait for each other"
        assert dict(seen) == {number: list(range(10)) for number in range(3)}

    run(scenario())


def test_nack_sets_how_long_the_queue_stands_still() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as inbox:
            for delay, pause in ((0.001, 0.01), (7, 7), (9999, 30)):
                message = await anext(inbox)
                began = now()
                await message.nack(delay)
                message = await anext(inbox)
                assert pause - 1e-6 <= now() - began < pause + 0.05
                async with message:
                    raise ValueError("as the test wants it")

    run(scenario())


def test_a_rejected_message_is_a_dead_letter_and_the_queue_moves_on() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as inbox:
            async with await anext(inbox):
                raise Reject("never will")
            assert numbers(await read(inbox, 1)) == [2]
        assert [stored.body for stored in cluster.groups["a"].queues["%DLQ%g", 0]] == [b"1"]

    run(scenario())


@pytest.mark.parametrize(("most", "deliveries", "dead"), [(1, 1, 1), (3, 3, 1), (None, 40, 0)])
def test_failures_in_order_have_no_end_unless_one_is_asked_for(most: int | None, deliveries: int, dead: int) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with (
            connect(cluster) as mq,
            mq.consumer("g", "t", ordered=True, start="earliest", max_attempts=most) as inbox,
        ):
            for attempt in range(1, deliveries + 1):
                async with await anext(inbox) as message:
                    assert (message.body, message.attempt) == (b"1", attempt)
                    raise ValueError("as the test wants it")
            assert numbers(await read(inbox, 1)) == ([2] if dead else [1])
        assert len(cluster.groups["a"].queues["%DLQ%g", 0]) == dead

    run(scenario())


def test_a_queue_is_read_only_under_its_lock_and_from_the_offset_that_stands_then() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(5))
        group = cluster.groups["a"]
        group.locks["g", "t", 0] = ("another", now())
        group.offsets["g", "t", 0] = 1
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True) as inbox:
            await asyncio.sleep(10)
            assert inbox.queues == []
            assert not [fields for _, fields in cluster.network.sent(11) if fields["topic"] == "t"]
            group.offsets["g", "t", 0] = 3
            del group.locks["g", "t", 0]
            assert numbers(await read(inbox, 2)) == [3, 4]

    run(scenario())


def test_locks_are_renewed_every_twenty_seconds_and_given_back_on_close() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        locks = cluster.groups["a"].locks
        async with connect(cluster) as mq:
            async with mq.consumer("g", "t", ordered=True):
                began = now()
                await asyncio.sleep(100)
                assert {holder for holder, _ in locks.values()} == {mq.client_id}
                assert all(since - began > 75 for _, since in locks.values())
                assert {key[1] for key in locks} == {"t", "%RETRY%g"}
            assert not locks

    run(scenario())


def test_a_lost_lock_ends_delivery_and_refuses_what_is_settled_late() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        group = cluster.groups["a"]
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as inbox:
            message = await anext(inbox)
            group.locks["g", "t", 0] = ("another", now() + 1000)
            await asyncio.sleep(21)
            with pytest.raises(SettlementLostError):
                await message.ack()
            assert inbox.queues == []
        assert group.offsets["g", "t", 0] == 0
        assert group.locks["g", "t", 0][0] == "another"

    run(scenario())


def test_a_lock_that_nobody_renews_is_lost_after_thirty_seconds() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(3))
        async with connect(cluster) as mq, mq.consumer("g", "t", ordered=True, start="earliest") as inbox:
            early, began = await anext(inbox), now()
            for address in ("a0:1", "a1:1", "a2:1"):
                cluster.stop(address)
            await asyncio.sleep(29)
            await early.ack()
            late = await anext(inbox)
            await asyncio.sleep(2)
            assert now() - began > 30
            with pytest.raises(SettlementLostError):
                await late.ack()
            cluster.network.stopped.clear()
            assert numbers(await read(inbox, 2))[-1] == 2

    run(scenario())


def test_a_queue_moves_when_the_message_in_hand_is_settled_and_keys_stay_in_order() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(20))
        running: set[int] = set()
        seen: dict[int, list[int]] = defaultdict(list)

        async def handle(message: Message[bytes]) -> None:
            assert message.queue.id not in running, "two members have a message of one queue"
            running.add(message.queue.id)
            await asyncio.sleep(3)
            running.discard(message.queue.id)
            seen[message.queue.id].append(message.queue_offset)

        async with (
            connect(cluster) as one,
            connect(cluster) as two,
            one.consumer("g", "t", ordered=True, start="earliest") as first,
        ):
            tasks = [asyncio.create_task(first.run(handle, concurrency=4))]
            await asyncio.sleep(4)
            async with two.consumer("g", "t", ordered=True) as second:
                tasks.append(asyncio.create_task(second.run(handle, concurrency=4)))
                await asyncio.sleep(8)
                assert len(first.queues) == len(second.queues) == 1
            await asyncio.sleep(60)
            for task in tasks:
                task.cancel()
        assert dict(seen) == {number: list(range(10)) for number in range(2)}

    run(scenario())


def test_brokers_without_locks_cannot_be_read_in_order() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.knows_locks = False
        async with connect(cluster) as mq:
            began = now()
            with pytest.raises(UnsupportedError):
                await mq.consumer("g", "t", ordered=True).open()
            assert now() - began < 2
            with pytest.raises(ConfigError):
                mq.consumer("g", "t", ordered=True, mode="pull")

    run(scenario())


def test_who_has_lost_a_lock_does_not_take_back_the_next_owners_offset() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(5))
        group = cluster.groups["a"]
        async with connect(cluster) as mq:
            inbox = await mq.consumer("g", "t", ordered=True, start="earliest").open()
            await read(inbox, 1)
            assert inbox._assignment is not None
            (puller,) = inbox._assignment.pullers.values()
            puller.process_queue.held_until = now()
            assert inbox._inbox is not None
            assert inbox._inbox.take() is None
            group.offsets["g", "t", 0] = 3
            await inbox.close()
        assert group.offsets["g", "t", 0] == 3

    run(scenario())


def test_a_message_that_fails_as_its_queue_is_given_up_does_not_hold_the_queue() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        loser, winner = connect(cluster), connect(cluster)
        loser.client_id, winner.client_id = "b", "a"  # one queue goes to the first by name
        async with loser as one, winner as two, one.consumer("g", "t", ordered=True, start="earliest") as first:
            message = await anext(first)
            second = await two.consumer("g", "t", ordered=True).open()
            async with message:
                await asyncio.sleep(5)
                assert second.queues == []
                raise ValueError("as the test wants it")
            began = now()
            assert (await read(second, 1))[0].attempt == 1
            assert now() - began < 1.5

    run(scenario())


def test_a_lock_whose_answer_nobody_waits_for_any_more_is_given_back() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        locks = cluster.groups["a"].locks
        locks["g", "t", 0] = ("another", now())
        async with connect(cluster) as mq:
            inbox = await mq.consumer("g", "t", ordered=True).open()
            cluster.network.transports[0].latency = 0.4
            del locks["g", "t", 0]
            while ("g", "t", 0) not in locks:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert inbox.queues == []
            await inbox.close()
        assert not locks

    run(scenario())
