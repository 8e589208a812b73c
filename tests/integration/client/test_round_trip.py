"""What goes in comes out."""

import asyncio
import random
from typing import Any

import pytest

import ternmq
from support.cluster import Cluster
from support.reading import fresh, read, with_client
from ternmq import ConfigError, MessageIllegalError, RouteNotFoundError

BODIES = [
    b"x",
    "Grüße, 世界".encode(),
    b"\x00\x01\x02\xff",
    b"compress me " * 2000,
    random.Random(3).randbytes(200_000),
]


def test_body_keys_tag_properties_and_place_come_back_as_they_were_sent(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("whole")
        await mq.admin.create_topic(topic, queues=2)
        async with mq.producer("p") as out, mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            receipts = {}
            for number, body in enumerate(BODIES):
                named = {"number": str(number), "größe": "weiß = 1 \n"}
                receipt = await out.send(topic, body, tag="tag", keys=[f"k{number}", "all"], properties=named)
                receipts[receipt.id] = (receipt, body, number)
            messages = await read(inbox, len(BODIES))
        assert {message.id for message in messages} == set(receipts)
        for message in messages:
            receipt, body, number = receipts[message.id]
            assert message.body == body
            assert (message.queue, message.queue_offset) == (receipt.queue, receipt.queue_offset)
            assert (message.tag, message.keys, message.shard, message.attempt) == (
                "tag",
                [f"k{number}", "all"],
                None,
                1,
            )
            assert message.properties == {"number": str(number), "größe": "weiß = 1 \n"}
            assert abs((message.stored_at - message.born_at).total_seconds()) < 60

    with_client(cluster.nameservers, scenario)


def test_messages_of_a_shard_key_keep_their_order_and_their_queue(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("ordered")
        await mq.admin.create_topic(topic, queues=4, type="fifo")
        keys = [f"key-{number}" for number in range(10)]
        async with mq.producer("p") as out:
            posted = [await out.post(topic, str(n).encode(), shard=key) for n in range(30) for key in keys]
            await asyncio.gather(*posted)
        async with mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            messages = await read(inbox, 300)
        for key in keys:
            of_key = [message for message in messages if message.shard == key]
            assert [int(message.body) for message in of_key] == list(range(30))
            assert len({message.queue for message in of_key}) == 1

    with_client(cluster.nameservers, scenario)


def test_a_batch_is_stored_in_a_row_and_each_message_has_its_own_id(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("batch")
        await mq.admin.create_topic(topic, queues=4)
        bodies = [f"item {number}".encode() for number in range(20)]
        async with mq.producer("p") as out:
            receipts = await out.send_batch(topic, bodies, tag="b", properties={"a": "1"})
        assert [receipt.queue_offset for receipt in receipts] == list(range(20))
        async with mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            messages = await read(inbox, 20)
        assert [message.body for message in messages] == bodies
        assert [message.id for message in messages] == [receipt.id for receipt in receipts]
        assert {(message.tag, message.properties["a"]) for message in messages} == {("b", "1")}

    with_client(cluster.nameservers, scenario)


def test_a_one_way_send_arrives(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("oneway")
        await mq.admin.create_topic(topic)
        async with mq.consumer(fresh("g"), topic) as inbox, mq.producer("p") as out:
            await out.send_oneway(topic, b"gone", tag="t")
            (message,) = await read(inbox, 1)
        assert (message.body, message.tag) == (b"gone", "t")

    with_client(cluster.nameservers, scenario)


def test_a_filter_lets_only_its_tags_through(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("tags")
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out:
            for number in range(40):
                await out.send(topic, str(number).encode(), tag=f"t{number % 4}")
            await out.send(topic, b"no tag")
            await out.send(topic, b"end", tag="t3")
        async with mq.consumer(fresh("g"), topic, filter="t1 || t3", start="earliest") as inbox:
            messages = await read(inbox, 21)
        assert [int(message.body) for message in messages[:-1]] == [n for n in range(40) if n % 2]
        assert messages[-1].body == b"end"

    with_client(cluster.nameservers, scenario)


def test_an_unknown_topic_is_made_by_its_first_send_and_can_be_read(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("unknown")
        with pytest.raises(RouteNotFoundError):
            await mq.consumer("g", topic).open()
        async with mq.producer("p") as out:
            receipt = await out.send(topic, b"first")
        async with mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            (message,) = await read(inbox, 1)
        assert message.id == receipt.id
        route = await mq.admin.route(topic)
        assert {counts.write for counts in route.groups.values()} == {8}

    with_client(cluster.nameservers, scenario)


def test_the_broker_takes_the_largest_body_and_the_client_refuses_one_byte_more(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("large")
        await mq.admin.create_topic(topic)
        largest = random.Random(5).randbytes(4 << 20)
        async with mq.producer("p", timeout=20) as out, mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            await out.send(topic, largest)
            with pytest.raises(MessageIllegalError, match="4194304"):
                await out.send(topic, largest + b"x")
            (message,) = await read(inbox, 1)
        assert message.body == largest

    with_client(cluster.nameservers, scenario)


@pytest.mark.parametrize("topic", ["", "a b", "ä", "a/b", "t" * 128])
def test_a_bad_topic_name_is_refused_by_every_verb(cluster: Cluster, topic: str) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        with pytest.raises(ConfigError):
            await mq.admin.create_topic(topic)
        with pytest.raises(ConfigError):
            mq.consumer("g", topic)
        async with mq.producer("p") as out:
            verbs: list[Any] = [out.send, out.post, out.send_oneway]
            for verb in verbs:
                with pytest.raises(ConfigError):
                    await verb(topic, b"x")

    with_client(cluster.nameservers, scenario)
