"""What becomes of a failed message: the broker's retries, dead letters, and what catches it when those fail."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect, now, numbers, read, send
from support.memory.cluster import BORN_MS, MemoryCluster, Stored
from support.memory.virtual_time import run
from ternmq.client.arguments import OnDecodeError
from ternmq.client.codecs import JSON
from ternmq.client.messages import Message
from ternmq.errors import CodecError, ConfigError, MQError, Reject, SettlementLostError, UnsupportedError

DAY = 86400.0


def _dead(cluster: MemoryCluster) -> list[Stored]:
    return cluster.groups["a"].queues["%DLQ%g", 0]


def test_a_failed_message_comes_again_from_the_broker_as_if_from_its_own_topic() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2], tag="x", keys=["k"], properties={"a": "b"})
        async with connect(cluster) as mq, mq.consumer("g", "t", filter="x", start="earliest") as inbox:
            async with await anext(inbox) as first:
                began = now()
                raise ValueError("as the test wants it")
            assert numbers(await read(inbox, 1)) == [2], "nobody waits for it"
            (again,) = await read(inbox, 1)
        assert 10 <= now() - began < 10.5
        assert (again.topic, again.attempt, again.body) == ("t", 2, b"1")
        assert (again.id, again.tag, again.keys, again.properties) == (first.id, "x", ["k"], {"a": "b"})
        assert again.queue.topic == "%RETRY%g"
        offsets = cluster.groups["a"].offsets
        assert (offsets["g", "t", 0], offsets["g", "%RETRY%g", 0]) == (2, 1)
        read_as = {(fields["topic"], fields["subscription"]) for _, fields in cluster.network.sent(11)}
        assert read_as == {("t", "x"), ("%RETRY%g", "*")}
        ((address, fields),) = cluster.network.sent(36)
        assert address == "a0:1"
        assert fields | {"originMsgId": ""} == {
            "offset": "1000", "group": "g", "delayLevel": "0", "originMsgId": "", "originTopic": "t",
            "unitMode": "false", "maxReconsumeTimes": "15", "bname": "a", "attempts": "1",
        }  # fmt: skip

    run(scenario())


def test_retries_come_later_each_time_and_end_as_a_dead_letter() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        attempts = []

        async def fail(message: Message[bytes]) -> None:
            attempts.append(message.attempt)
            raise ValueError("always")

        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            serving = asyncio.create_task(inbox.run(fail))
            await asyncio.sleep(DAY / 2)
            serving.cancel()
        assert attempts == list(range(1, 17))
        assert cluster.delays == list(range(3, 18))
        assert [(stored.body, stored.reconsume_times) for stored in _dead(cluster)] == [(b"1", 16)]

    run(scenario(), within=DAY)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_max_attempts_says_how_often_a_message_is_delivered(most: int) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        attempts = []
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", max_attempts=most) as inbox:
            while not _dead(cluster):
                message = await anext(inbox)
                attempts.append(message.attempt)
                await message.nack()
        assert attempts == list(range(1, most + 1))
        assert [stored.reconsume_times for stored in _dead(cluster)] == [most]

    run(scenario(), within=DAY)


def test_deliveries_that_no_broker_saw_count_as_attempts() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest", max_attempts=2) as inbox:
            cluster.brokers["a0:1"].back_codes = [1]
            cluster.brokers["a0:1"].send_codes = [13]
            for attempt in (1, 2):
                message = await anext(inbox)
                assert message.attempt == attempt
                await message.nack()
        assert [stored.body for stored in _dead(cluster)] == [b"1"]

    run(scenario())


def test_a_rejected_message_is_a_dead_letter_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            async with await anext(inbox):
                raise Reject("never will")
            await (await anext(inbox)).dead_letter()
            assert [stored.body for stored in _dead(cluster)] == [b"1", b"2"]
        assert cluster.groups["a"].offsets["g", "t", 0] == 2
        assert "never will" in caplog.text

    run(scenario())


@pytest.mark.parametrize(("choice", "dead"), [("retry", []), ("dead_letter", [b"{"])])
def test_what_does_not_decode_comes_again_or_is_a_dead_letter(choice: OnDecodeError, dead: list[bytes]) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, ["{"])
        async with (
            connect(cluster) as mq,
            mq.consumer("g", "t", codec=JSON(int), start="earliest", on_decode_error=choice) as inbox,
            await anext(inbox) as message,
        ):
            assert message.value is None, "never reached: the value does not decode"
        ((_, fields),) = cluster.network.sent(36)
        assert fields["delayLevel"] == ("-1" if dead else "0")
        assert [stored.body for stored in cluster.groups["a"].queues.get(("%DLQ%g", 0), [])] == dead

    run(scenario())


def test_another_error_of_a_message_that_decodes_is_no_reason_for_a_dead_letter() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, ["1"])
        async with (
            connect(cluster) as mq,
            mq.consumer("g", "t", codec=JSON(int), start="earliest", on_decode_error="dead_letter") as inbox,
            await anext(inbox),
        ):
            raise CodecError("of something else")
        ((_, fields),) = cluster.network.sent(36)
        assert fields["delayLevel"] == "0"

    run(scenario())


def test_extend_says_whether_the_message_is_still_ours() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq:
            inbox = await mq.consumer("g", "t", start="earliest").open()
            settled, lost = await anext(inbox), await anext(inbox)
            await settled.extend(timedelta(minutes=1))
            with pytest.raises(ConfigError):
                await settled.extend(0)
            await settled.ack()
            with pytest.raises(RuntimeError, match="settled before"):
                await settled.extend(60)
            await inbox.close()
            with pytest.raises(SettlementLostError):
                await lost.extend(60)

    run(scenario())


def test_a_consumer_is_refused_another_choice_for_what_does_not_decode() -> None:
    async def scenario() -> None:
        async with connect(cluster_with_topic()) as mq:
            with pytest.raises(ConfigError, match="on_decode_error is 'drop'"):
                mq.consumer("g", "t", on_decode_error="drop")  # type: ignore[call-overload]

    run(scenario())


def test_nack_returns_when_the_broker_has_the_message_and_its_delay_is_rounded_up() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            message = await anext(inbox)
            with pytest.raises(UnsupportedError):
                await message.nack(timedelta(hours=3))
            with pytest.raises(ConfigError):
                await message.nack(0)
            await message.nack(timedelta(seconds=31))
            assert cluster.delays == [5]
            with pytest.raises(RuntimeError):
                await message.nack()
            began = now()
            async with await anext(inbox) as message:
                assert 59 < now() - began < 61
                await message.nack()
            assert cluster.delays == [5, 4]

    run(scenario())


def test_the_offset_waits_until_the_broker_has_a_failed_message() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1, 2])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            async with await anext(inbox):
                cluster.stop("a0:1")
                raise ValueError("as the test wants it")
            await read(inbox, 1)
            await asyncio.sleep(1)
            assert inbox._assignment is not None
            assert {each.process_queue.watermark for each in inbox._assignment.pullers.values()} == {0}
            cluster.elect("a", "a1:1")
            assert (await read(inbox, 1))[0].attempt == 2
        assert cluster.groups["a"].offsets["g", "t", 0] == 2

    run(scenario())


def test_a_refused_send_back_becomes_a_send_to_the_retry_topic() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1], tag="x", properties={"a": "b"})
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            cluster.brokers["a0:1"].back_codes = [1, 1]
            for _ in range(2):
                async with await anext(inbox):
                    raise ValueError("as the test wants it")
            (third,) = await read(inbox, 1)
        assert (third.topic, third.attempt, third.tag, third.properties) == ("t", 3, "x", {"a": "b"})
        assert cluster.delays == [3, 4]
        sends = [fields for _, fields in cluster.network.sent(310) if fields["b"] == "%RETRY%g"]
        assert [(fields["j"], fields["l"]) for fields in sends] == [("1", "16"), ("2", "16")]
        assert {fields["g"] for fields in sends} == {str(BORN_MS)}, "it was born when its first copy was"
        origins = {
            part for fields in sends for part in fields["i"].split("\x02") if part.startswith("ORIGIN_MESSAGE_ID")
        }
        assert len(origins) == 1, "the first copy's id is kept"
        assert all(f"UNIQ_KEY\x01{third.id}" in fields["i"] for fields in sends)
        assert all("RETRY_TOPIC\x01t" in fields["i"] for fields in sends)

    run(scenario())


def test_a_dead_letter_that_is_not_taken_back_is_sent_so_that_the_broker_makes_it_one() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            cluster.brokers["a0:1"].back_codes = [1]
            await (await anext(inbox)).dead_letter()
        assert [stored.body for stored in _dead(cluster)] == [b"1"]

    run(scenario())


def test_what_cannot_be_given_back_at_all_comes_again_here_after_five_seconds() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            cluster.brokers["a0:1"].back_codes = [1, 1]
            cluster.brokers["a0:1"].send_codes = [13, 13]
            began = now()
            async with await anext(inbox):
                raise ValueError("as the test wants it")
            message = await anext(inbox)
            assert message.attempt == 2
            assert 5 <= now() - began < 5.5
            with pytest.raises(MQError):
                await message.dead_letter()
            assert (await read(inbox, 1))[0].attempt == 3
        assert cluster.groups["a"].offsets["g", "t", 0] == 1

    run(scenario())


def test_a_broker_without_retries_has_no_dead_letters() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.knows_send_back = False
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            with pytest.raises(UnsupportedError):
                await (await anext(inbox)).dead_letter()
            message = await anext(inbox)
            assert message.attempt == 2
            began = now()
            await message.nack(7)
            assert (await read(inbox, 1))[0].attempt == 3
            assert 10 <= now() - began < 10.1, "the consumer itself waits, as long as a broker would"

    run(scenario())


def test_closing_waits_until_failed_messages_are_given_back() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq:
            inbox = await mq.consumer("g", "t", start="earliest").open()
            async with await anext(inbox):
                raise ValueError("as the test wants it")
            await inbox.close()
        assert len(cluster.network.sent(36)) == 1
        assert cluster.groups["a"].offsets["g", "t", 0] == 1

    run(scenario())


def test_a_cancelled_nack_still_gives_the_message_back() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            waiting = asyncio.create_task((await anext(inbox)).nack())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert (await read(inbox, 1))[0].attempt == 2

    run(scenario())


def test_members_share_the_queues_of_the_retry_topic() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2, groups=2)
        async with (
            connect(cluster) as one,
            connect(cluster) as two,
            one.consumer("g", "t") as first,
            two.consumer("g", "t") as second,
        ):
            await asyncio.sleep(25)
            held: list[Any] = []
            for inbox in (first, second):
                assert inbox._assignment is not None
                held += [queue for queue in inbox._assignment.pullers if queue.topic == "%RETRY%g"]
                assert all(queue.topic == "t" for queue in inbox.queues)
            assert sorted(queue.broker for queue in held) == ["a", "b"]

    run(scenario())


def test_a_failed_message_of_a_lost_queue_is_not_settled() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq:
            inbox = await mq.consumer("g", "t", start="earliest").open()
            message = await anext(inbox)
            await inbox.close()
            with pytest.raises(SettlementLostError):
                await message.nack()
        assert not cluster.network.sent(36)

    run(scenario())


def test_the_retry_topic_is_found_at_once_when_the_first_failure_makes_it() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.heartbeats_make_retry_topics = False
        async with connect(cluster) as mq, mq.consumer("g", "t") as inbox:
            await asyncio.sleep(77)
            await send(cluster, [1])
            async with await anext(inbox):
                began = now()
                raise ValueError("as the test wants it")
            await read(inbox, 1)
            assert 10 <= now() - began < 11

    run(scenario())


def test_no_retry_is_passed_over_by_a_group_that_starts_at_the_end() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.heartbeats_make_retry_topics = False
        for reader in (1, 2):
            async with connect(cluster) as mq:
                inbox = await mq.consumer("g", "t", start="latest").open()
                if reader == 1:
                    await send(cluster, [1])
                    await (await anext(inbox)).nack()
                else:
                    assert (await read(inbox, 1))[0].attempt == 2
                await inbox.close()
            await asyncio.sleep(30)

    run(scenario())


def test_retries_of_each_group_of_brokers_are_found_at_its_first_failure() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(groups=2)
        cluster.heartbeats_make_retry_topics = False
        async with connect(cluster) as mq, mq.consumer("g", "t") as inbox:
            await send(cluster, [1, 2])
            first, second = await anext(inbox), await anext(inbox)
            assert first.queue.broker != second.queue.broker
            await first.nack(1)
            await read(inbox, 1)
            began = now()
            await second.nack(1)
            await read(inbox, 1)
            assert now() - began < 2

    run(scenario())
