"""A group reads, settles, shares queues and survives faults; on a network in memory, in virtual time."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from support.memory.client import connect
from support.memory.cluster import BORN_MS, MemoryCluster
from support.memory.virtual_time import run
from ternmq.client.codecs import JSON
from ternmq.client.consumer import Consumer
from ternmq.client.messages import Message
from ternmq.errors import CodecError, ConfigError, RouteNotFoundError, SettlementLostError


def _cluster(groups: int = 1, queues: int = 4) -> MemoryCluster:
    cluster = MemoryCluster(groups=groups)
    cluster.create_topic("t", queues)
    return cluster


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _send(cluster: MemoryCluster, bodies: Iterable[Any], **arguments: Any) -> None:
    async with connect(cluster) as mq, mq.producer("p") as out:
        for body in bodies:
            await out.send("t", str(body).encode(), **arguments)


async def _read(inbox: Consumer[bytes], count: int) -> list[Message[bytes]]:
    """Read and acknowledge so many messages."""
    messages: list[Message[bytes]] = []
    while len(messages) < count:
        message = await anext(inbox)
        async with message:
            messages.append(message)
    return messages


def _bodies(messages: list[Message[bytes]]) -> list[int]:
    return [int(message.body) for message in messages]


def test_a_message_arrives_as_it_was_sent() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out, mq.consumer("g", "t") as inbox:
            receipt = await out.send(
                "t", b"hello" * 2000, tag="paid", keys=["A1", "A2"], properties={"a": "b"}, shard="s"
            )
            (message,) = await _read(inbox, 1)
        assert (message.id, message.queue, message.queue_offset) == receipt[:3]
        assert message.body == message.value == b"hello" * 2000
        assert (message.tag, message.keys, message.properties, message.shard) == ("paid", ["A1", "A2"], {"a": "b"}, "s")
        assert message.attempt == 1
        assert message.born_at == datetime.fromtimestamp(BORN_MS / 1000, UTC)

    run(scenario())


@pytest.mark.parametrize(("start", "seen"), [("earliest", [1, 2, 3]), ("latest", [3])])
def test_a_new_group_begins_where_it_was_told(start: Any, seen: list[int]) -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start=start) as inbox:
            await _send(cluster, [3])
            assert _bodies(await _read(inbox, len(seen))) == seen

    run(scenario())


def test_a_new_group_may_begin_at_a_time() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1, 2])
        await asyncio.sleep(10)
        moment = datetime.fromtimestamp(BORN_MS / 1000 + _now(), UTC)
        await asyncio.sleep(10)
        await _send(cluster, [3])
        async with connect(cluster) as mq, mq.consumer("g", "t", start=moment) as inbox:
            assert _bodies(await _read(inbox, 1)) == [3]

    run(scenario())


def test_the_start_is_fixed_at_the_broker_when_entering_returns() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="latest"):
            assert cluster.groups["a"].offsets == {("g", "t", 0): 2}

    run(scenario())


def test_a_group_goes_on_where_it_ended_whatever_start_says() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1, 2, 3])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            assert _bodies(await _read(inbox, 2)) == [1, 2]
        async with connect(cluster) as mq, mq.consumer("g", "t", start="latest") as inbox:
            assert _bodies(await _read(inbox, 1)) == [3]
        assert cluster.groups["a"].offsets["g", "t", 0] == 3

    run(scenario())


def test_settled_positions_are_committed_every_five_seconds() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, range(10))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            await _read(inbox, 7)
            await asyncio.sleep(5.1)
            assert cluster.groups["a"].offsets["g", "t", 0] == 7

    run(scenario())


def test_one_unsettled_message_holds_the_position_back() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, range(5))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            await anext(inbox)
            await _read(inbox, 4)
        assert cluster.groups["a"].offsets["g", "t", 0] == 0

    run(scenario())


def test_where_brokers_know_no_retries_a_failed_message_comes_again_from_the_consumer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        cluster.knows_send_back = False
        await _send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            attempts: list[tuple[int, int]] = []
            began = 0.0
            async for message in inbox:
                async with message:
                    attempts.append((int(message.body), message.attempt))
                    if attempts[-1] == (1, 1):
                        began = _now()
                        raise ValueError("first time")
                if len(attempts) == 3:
                    break
            assert attempts == [(1, 1), (2, 1), (1, 2)]
            assert 1.0 <= _now() - began < 1.1
        assert "first time" in caplog.text

    run(scenario())


def test_an_explicit_ack_settles_once() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            message = await anext(inbox)
            async with message:
                await message.ack()
            with pytest.raises(RuntimeError):
                await message.ack()

    run(scenario())


def test_a_cancelled_block_is_delivered_again_at_once() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1])

        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:

            async def work() -> None:
                async for message in inbox:
                    async with message:
                        await asyncio.sleep(100)

            task = asyncio.create_task(work())
            await asyncio.sleep(1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            began = _now()
            (message,) = await _read(inbox, 1)
            assert message.attempt == 2
            assert _now() == began

    run(scenario())


def test_a_body_that_does_not_decode_is_an_exception_of_the_block() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, ["not json"])
        async with connect(cluster) as mq, mq.consumer("g", "t", codec=JSON(int), start="earliest") as inbox:
            message = await anext(inbox)
            with pytest.raises(CodecError):
                _ = message.value
            async with message:
                _ = message.value
            assert (await anext(inbox)).attempt == 2

    run(scenario())


def test_tags_are_compared_as_words_and_what_is_filtered_counts_as_read() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1], tag="Aa")
        await _send(cluster, [2], tag="BB")  # the same hash in Java
        await _send(cluster, [3])
        async with connect(cluster) as mq, mq.consumer("g", "t", filter="x || BB", start="earliest") as inbox:
            assert _bodies(await _read(inbox, 1)) == [2]
            await asyncio.sleep(6)
            assert cluster.groups["a"].offsets["g", "t", 0] == 3
        pull = cluster.network.sent(11)[0][1]
        assert (pull["subscription"], pull["expressionType"], int(pull["sysFlag"]) & 6) == ("x || BB", "TAG", 6)

    run(scenario())


def test_run_handles_messages_at_the_same_time_and_ends_when_they_are_settled() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, range(10))
        running, most, done = 0, 0, []

        async def handle(message: Message[bytes]) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(1)
            running -= 1
            done.append(int(message.body))

        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            serving = asyncio.create_task(inbox.run(handle, concurrency=3))
            await asyncio.sleep(2.5)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert (most, running) == (3, 0)
            assert sorted(done) == list(range(9))
        assert cluster.groups["a"].offsets["g", "t", 0] == 9

    run(scenario())


def test_closing_lets_handlers_end_first() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1])
        done = []

        async def handle(message: Message[bytes]) -> None:
            await asyncio.sleep(2)
            done.append(message.id)

        async with connect(cluster) as mq:
            async with mq.consumer("g", "t", start="earliest") as inbox:
                serving = asyncio.create_task(inbox.run(handle))
                await asyncio.sleep(0.5)
            assert len(done) == 1
            await serving
        assert cluster.groups["a"].offsets["g", "t", 0] == 1

    run(scenario())


def test_closing_ends_the_iteration() -> None:
    async def scenario() -> None:
        async with connect(_cluster()) as mq:
            inbox = await mq.consumer("g", "t").open()
            reader = asyncio.create_task(anext(inbox, None))
            await asyncio.sleep(0.1)
            await inbox.close()
            assert await reader is None

    run(scenario())


def test_a_reader_that_is_cancelled_as_it_is_woken_leaves_the_message_to_the_next() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        async with connect(cluster) as mq, mq.consumer("g", "t") as inbox:
            readers = [asyncio.ensure_future(anext(inbox)) for _ in range(2)]
            await asyncio.sleep(0.1)
            woken = inbox._wake_waiters

            def wake_and_cancel() -> None:
                woken()
                readers[0].cancel()

            inbox._inbox._on_waiting = wake_and_cancel  # type: ignore[union-attr]
            await _send(cluster, [1])
            assert (await readers[1]).body == b"1"
            assert readers[0].cancelled()

    run(scenario())


def test_members_share_the_queues_and_take_over_what_one_leaves() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as one, connect(cluster) as two, one.consumer("g", "t") as first:
            assert len(first.queues) == 8
            async with two.consumer("g", "t") as second:
                await asyncio.sleep(0.5)
                assert len(first.queues) == len(second.queues) == 4
                assert not set(first.queues) & set(second.queues)
            await asyncio.sleep(0.5)
            assert len(first.queues) == 8

    run(scenario())


def test_a_member_that_dies_is_replaced() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with (
            connect(cluster) as one,
            connect(cluster) as two,
            one.consumer("g", "t") as first,
            two.consumer("g", "t"),
        ):
            await asyncio.sleep(0.5)
            assert len(first.queues) == 2
            transport = cluster.network.transports[1]
            for address in tuple(transport.connected):
                cluster.network.servers[address].disconnected(transport)
            await asyncio.sleep(0.5)
            assert len(first.queues) == 4

    run(scenario())


def test_nothing_is_lost_or_read_twice_when_members_come_and_go() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        seen: list[int] = []
        complete = asyncio.Event()

        async def read(inbox: Consumer[bytes]) -> None:
            async for message in inbox:
                async with message:
                    seen.append(int(message.body))
                    await asyncio.sleep(0.02)
                if set(seen) == set(range(300)):
                    complete.set()

        async with connect(cluster) as one, connect(cluster) as two, asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send(cluster, range(300)))
            async with one.consumer("g", "t", start="earliest") as first:
                tasks.create_task(read(first))
                async with two.consumer("g", "t", start="earliest") as second:
                    tasks.create_task(read(second))
                    await asyncio.sleep(1.5)
                await sending
                await complete.wait()
        assert len(seen) <= 304, "at most what was in hand when a queue moved"

    run(scenario())


def test_what_was_settled_before_a_hand_over_does_not_come_again() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=2)
        await _send(cluster, range(40))
        async with (
            connect(cluster) as one,
            connect(cluster) as two,
            one.consumer("g", "t", start="earliest") as first,
        ):
            await _read(first, 40)  # settled, but the next commit is seconds away
            cluster.network.transports[0].latency = 0.01  # and it travels slowly
            async with two.consumer("g", "t") as second:
                await _send(cluster, [40, 41])
                await asyncio.sleep(1)
                assert len(first.queues) == len(second.queues) == 1
                rest = await _read(second, 1) + await _read(first, 1)
                assert sorted(_bodies(rest)) == [40, 41]
        assert sum(cluster.groups["a"].offsets.values()) == 42

    run(scenario())


def test_entering_asks_for_the_members_once() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.consumer("g", "t"):
            assert len(cluster.network.sent(38)) == 1

    run(scenario())


def test_settling_after_the_queue_went_to_another_member_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1, 2])
        loser, winner = connect(cluster), connect(cluster)
        loser.client_id, winner.client_id = "b", "a"  # one queue goes to the first by name
        async with loser as one, winner as two, one.consumer("g", "t", start="earliest") as first:
            explicit, block = await anext(first), await anext(first)
            async with two.consumer("g", "t"):
                await asyncio.sleep(1)
                with pytest.raises(SettlementLostError):
                    await explicit.ack()
                with caplog.at_level(logging.WARNING):
                    async with block:
                        pass
                assert "no longer held" in caplog.text

    run(scenario())


def test_an_unknown_topic_has_no_route_to_read() -> None:
    async def scenario() -> None:
        async with connect(_cluster()) as mq:
            with pytest.raises(RouteNotFoundError):
                await mq.consumer("g", "nothing").open()

    run(scenario())


@pytest.mark.parametrize(
    "arguments",
    [
        {"group": "a b"}, {"topic": ""}, {"filter": "a |"}, {"start": "first"}, {"max_in_flight": 0},
        {"pull_batch": 0}, {"max_bytes": -1}, {"max_processing": 0}, {"start": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_consumer_with_wrong_settings_is_not_made(arguments: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with connect(_cluster()) as mq:
            with pytest.raises(ConfigError):
                mq.consumer(**{"group": "g", "topic": "t", **arguments})

    run(scenario())


def test_every_replica_knows_the_member_so_that_a_new_leader_does() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.consumer("g", "t", filter="x || y", start="earliest"):
            for address, broker in cluster.brokers.items():
                assert broker.heartbeats, address
                entries: Any = broker.heartbeats[-1]["consumerDataSet"]
                (entry,) = entries
                assert (entry["groupName"], entry["messageModel"]) == ("g", "CLUSTERING")
                read = [(each["topic"], each["subString"]) for each in entry["subscriptionDataSet"]]
                assert read == [("t", "x || y"), ("%RETRY%g", "*")]
            counts = {address: len(broker.heartbeats) for address, broker in cluster.brokers.items()}
            await asyncio.sleep(31)
            assert all(len(broker.heartbeats) > counts[address] for address, broker in cluster.brokers.items())

    run(scenario())


def test_a_broken_connection_is_followed_by_a_heartbeat_at_once() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.consumer("g", "t"):
            before = len(cluster.brokers["a1:1"].heartbeats)
            cluster.network.transports[0].lost("a1:1")
            await asyncio.sleep(0.1)
            assert len(cluster.brokers["a1:1"].heartbeats) == before + 1

    run(scenario())


def test_no_more_is_fetched_than_may_be_unsettled() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, range(100))
        async with connect(cluster) as mq:
            async with mq.consumer("g", "t", start="earliest", max_in_flight=40) as inbox:
                await asyncio.sleep(1)
                assert (
                    sum(int(fields["maxMsgNums"]) for _, fields in cluster.network.sent(11) if fields["topic"] == "t")
                    == 40
                )
                await _read(inbox, 100)
            async with mq.consumer("h", "t", start="earliest", max_bytes=10, pull_batch=4) as inbox:
                await asyncio.sleep(1)
                pulls = [fields for _, fields in cluster.network.sent(11) if fields["consumerGroup"] == "h"]
                assert len([1 for fields in pulls if fields["topic"] == "t"]) == 3
                await _read(inbox, 100)
            async with mq.consumer("i", "t", start="earliest", max_total_bytes=10, pull_batch=4) as inbox:
                await _read(inbox, 100)

    run(scenario())


def test_reading_goes_on_at_a_follower_while_there_is_no_leader() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, range(100))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", max_in_flight=10) as inbox:
            assert _bodies(await _read(inbox, 10)) == list(range(10))
            cluster.kill("a0:1")
            began = _now()
            assert _bodies(await _read(inbox, 90)) == list(range(10, 100))
            assert _now() - began < 1.0
            cluster.elect("a", "a1:1")
            await _send(cluster, [100])
            assert _bodies(await _read(inbox, 1)) == [100]
        assert cluster.groups["a"].offsets["g", "t", 0] == 101

    run(scenario())


def test_offsets_never_go_back_over_a_change_of_leader() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            for leader in ("a1:1", "a2:1", "a1:1"):
                await _send(cluster, range(50))
                await _read(inbox, 25)
                cluster.elect("a", leader)
                await _read(inbox, 25)
                await asyncio.sleep(6)
        commits = [offset for *_, offset in cluster.groups["a"].commits]
        assert commits == sorted(commits)
        assert commits[-1] == 150

    run(scenario())


def test_a_stopped_leader_does_not_stop_an_idle_consumer_for_long() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        async with connect(cluster) as mq, mq.consumer("g", "t") as inbox:
            await asyncio.sleep(2)  # idle: nothing but the long poll is on its way
            cluster.stop("a0:1")
            await asyncio.sleep(1)
            cluster.elect("a", "a1:1")
            await _send(cluster, [1])
            began = _now()
            await _read(inbox, 1)
            assert _now() - began < 17

    run(scenario())


def test_entering_waits_for_an_election() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        cluster.kill("a0:1")
        cluster.register("a")

        async def elect() -> None:
            await asyncio.sleep(2)
            cluster.elect("a", "a1:1")

        async with connect(cluster) as mq:
            election = asyncio.create_task(elect())
            async with mq.consumer("g", "t") as inbox:
                assert len(inbox.queues) == 4
            await election

    run(scenario())


def test_a_group_of_brokers_that_is_dead_keeps_a_consumer_only_from_its_own_queues() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2, queues=2)
        for address in ("a1:1", "a2:1", "a0:1"):
            cluster.kill(address)
        async with connect(cluster) as mq, mq.consumer("g", "t") as inbox:
            assert {queue.broker for queue in inbox.queues} == {"b"}
            cluster.start_broker("a", "a1:1")
            cluster.elect("a", "a1:1")
            await _send(cluster, range(8))
            assert sorted(_bodies(await _read(inbox, 8))) == list(range(8))

    run(scenario())


def test_a_stopped_follower_does_not_delay_entering_for_long() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        cluster.stop("a1:1")
        async with connect(cluster) as mq:
            began = _now()
            async with mq.consumer("g", "t"):
                assert _now() - began < 1.5

    run(scenario())


def test_latest_passes_over_no_message_of_a_queue_that_appears_later() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        await _send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="latest") as inbox:
            cluster.create_topic("t", 3)
            await _send(cluster, range(2, 8))
            assert sorted(_bodies(await _read(inbox, 6))) == list(range(2, 8))

    run(scenario())


def test_new_queues_of_a_topic_are_read_after_the_next_poll() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            cluster.create_topic("t", 3)
            await asyncio.sleep(32)
            assert len(inbox.queues) == 3

    run(scenario())


def test_an_offset_that_is_gone_is_left_where_the_broker_says() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        cluster.groups["a"].offsets["g", "t", 0] = 50
        async with connect(cluster) as mq, mq.consumer("g", "t") as inbox:
            await asyncio.sleep(0.1)
            await _send(cluster, [1])
            assert _bodies(await _read(inbox, 1)) == [1]
        assert cluster.groups["a"].offsets["g", "t", 0] == 1

    run(scenario())


def test_what_takes_longer_than_max_processing_comes_again() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        cluster.knows_send_back = False
        await _send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", max_processing=5) as inbox:
            slow = await anext(inbox)
            began = _now()
            assert (await anext(inbox)).attempt == 2
            assert 6.0 <= _now() - began < 6.1
            with pytest.raises(SettlementLostError):
                await slow.ack()

    run(scenario())
