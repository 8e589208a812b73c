"""Sends as a broker sees them, and what comes back; on a network in memory, in virtual time."""

import asyncio
import zlib
from typing import Any

import pytest

from support.memory.client import connect
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.client.codecs import JSON, Raw
from ternmq.client.sharding import shard_index
from ternmq.errors import (
    ClientClosedError,
    CodecError,
    ConfigError,
    MessageIllegalError,
    MQError,
    OutcomeUnknownError,
    RouteNotFoundError,
    StoredUnconfirmedError,
    UnreachableError,
)


def _properties(text: str) -> dict[str, str]:
    return dict(pair.split("\x01", 1) for pair in text.split("\x02") if pair)


def _cluster(groups: int = 1, queues: int = 4) -> MemoryCluster:
    cluster = MemoryCluster(groups=groups)
    cluster.create_topic("t", queues)
    return cluster


def test_a_send_carries_what_the_caller_gave_under_short_names() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("shop") as out:
            receipt = await out.send("t", b"hello", tag="paid", keys=["A1", "A2"], properties={"a": "b"}, shard="s")
        address, fields = cluster.network.sent(310)[0]
        assert address == "a0:1"
        assert fields.items() >= {
            "a": "shop", "b": "t", "c": "TBW102", "d": "1024", "f": "0", "h": "0", "j": "0", "k": "false", "m": "false",
        }.items()  # fmt: skip
        assert fields["e"] == str(receipt.queue.id)
        assert _properties(fields["i"]) == {
            "UNIQ_KEY": receipt.id, "WAIT": "true", "TAGS": "paid", "KEYS": "A1 A2", "__SHARDINGKEY": "s", "a": "b",
        }  # fmt: skip
        assert (receipt.queue.topic, receipt.queue.broker, receipt.queue_offset) == ("t", "a", 0)
        assert cluster.bodies("t") == [b"hello"]

    run(scenario())


def test_sends_go_round_all_queues_of_all_groups() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            receipts = [await out.send("t", b"x") for _ in range(16)]
        assert len({receipt.queue for receipt in receipts}) == 8
        assert len({receipt.id for receipt in receipts}) == 16

    run(scenario())


def test_a_shard_key_stays_on_its_queue_and_one_send_of_it_is_unanswered_at_a_time() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            futures = [await out.post("t", str(number).encode(), shard="k") for number in range(10)]
            await asyncio.sleep(0.0015)
            assert len(cluster.bodies("t")) <= 1
            receipts = await asyncio.gather(*futures)
        queue = [*(("a", n) for n in range(4)), *(("b", n) for n in range(4))][shard_index("k", 8)]
        assert {(receipt.queue.broker, receipt.queue.id) for receipt in receipts} == {queue}
        assert cluster.bodies("t") == [str(number).encode() for number in range(10)]

    run(scenario())


def test_a_batch_is_one_request_with_an_id_for_each_message() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            receipts = await out.send_batch("t", [b"1", b"2", b"3"], tag="x", keys=["k"])
        ((_, fields),) = cluster.network.sent(320)
        assert fields["m"] == "true"
        assert "UNIQ_KEY" not in fields["i"]
        assert [receipt.queue_offset for receipt in receipts] == [0, 1, 2]
        stored = cluster.groups["a"].queues["t", receipts[0].queue.id]
        assert [message.body for message in stored] == [b"1", b"2", b"3"]
        named = [_properties(message.properties) for message in stored]
        assert [names["UNIQ_KEY"] for names in named] == [receipt.id for receipt in receipts]
        assert all((names["TAGS"], names["KEYS"]) == ("x", "k") for names in named)

    run(scenario())


def test_a_one_way_send_is_not_waited_for() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send_oneway("t", b"x", shard="s")
            await asyncio.sleep(0.01)
        assert cluster.bodies("t") == [b"x"]

    run(scenario())


def test_large_bodies_are_compressed_if_that_helps() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        noise = b"".join(zlib.crc32(str(number).encode()).to_bytes(4, "big") for number in range(2000))
        async with connect(cluster) as mq, mq.producer("p") as out:
            for body in (b"x" * 4095, b"x" * 4096, noise):
                await out.send("t", body)
        small, large, incompressible = cluster.groups["a"].queues["t", 0]
        assert (small.body, small.sys_flag) == (b"x" * 4095, 0)
        assert (zlib.decompress(large.body), large.sys_flag) == (b"x" * 4096, 0x301)
        assert (incompressible.body, incompressible.sys_flag) == (noise, 0)

    run(scenario())


def test_a_codec_makes_bodies_of_payloads() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", codec=JSON(dict[str, int])) as out:
            await out.send("t", {"a": 1})
            assert cluster.bodies("t") == [b'{"a":1}']
            with pytest.raises(CodecError):
                await out.send("t", {"a": object()})  # type: ignore[dict-item]
            assert len(cluster.network.sent(310)) == 1

    run(scenario())


def test_a_codec_that_does_not_encode_to_bytes_is_refused() -> None:
    class Broken(Raw):
        def encode(self, value: bytes, /) -> bytes:
            return bytearray(value)  # type: ignore[return-value]

    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", codec=Broken()) as out:
            with pytest.raises(CodecError, match="bytearray"):
                await out.send("t", b"x")

    run(scenario())


def test_an_unknown_topic_without_auto_creation_has_no_route() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        for server in cluster.nameservers.values():
            del server.topics["TBW102"]
        async with connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(RouteNotFoundError):
                await out.send("new", b"x")
            assert cluster.network.sent(310) == []

    run(scenario())


def test_a_topic_that_one_nameserver_does_not_know_yet_is_found_at_another() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(nameservers=3)
        cluster.create_topic("t", 4)
        for name in cluster.endpoints[:2]:
            cluster.start_nameserver(name)  # restarted: empty
        for _ in range(12):  # each client begins at a NameServer of its own choice
            async with connect(cluster) as mq, mq.producer("p") as out:
                await out.send("t", b"x")

    run(scenario())


def test_without_any_nameserver_the_error_names_all_addresses() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(nameservers=2)
        for name in cluster.endpoints:
            cluster.kill(name)
        async with connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(UnreachableError) as caught:
                await out.send("t", b"x")
            assert [name for name in cluster.endpoints if f"{name} cannot be reached" not in str(caught.value)] == []

    run(scenario())


@pytest.mark.parametrize(
    "arguments",
    [
        {"topic": "a b"}, {"topic": ""}, {"tag": "a|b"}, {"tag": ""}, {"keys": "k"}, {"keys": ["a b"]},
        {"properties": {"UNIQ_KEY": "x"}},
        {"properties": {"a": "\ud800"}}, {"shard": ""},
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            for call in (out.send, out.post, out.send_oneway):
                with pytest.raises(ConfigError):
                    await call(**{"topic": "t", "value": b"x", **arguments})
            with pytest.raises(ConfigError):
                await out.send_batch(**{"topic": "t", "values": [b"x"], **arguments})
            with pytest.raises(ConfigError):
                await out.send_batch("t", [])
            assert cluster.network.requests == []

    run(scenario())


@pytest.mark.parametrize(
    "arguments",
    [
        {"group": "a b"}, {"group": "g" * 121}, {"retries": -1}, {"timeout": 0}, {"max_pending": 0},
        {"max_pending": 1.5},
        {"max_pending_bytes": 0}, {"compress_over": 0}, {"max_message": (4 << 20) + 1},
    ],
)  # fmt: skip
def test_a_producer_with_wrong_settings_is_not_made(arguments: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with connect(_cluster()) as mq:
            with pytest.raises(ConfigError):
                mq.producer(**{"group": "p", **arguments})

    run(scenario())


def test_an_empty_body_is_refused_before_anything_is_sent() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(MessageIllegalError, match="empty"):
                await out.send("t", b"")
            with pytest.raises(MessageIllegalError, match="empty"):
                await out.send_batch("t", [b"x", b""])
            assert cluster.network.requests == []

    run(scenario())


def test_an_oversized_body_is_refused_before_anything_is_sent_and_the_limit_named() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", max_message=1000) as out:
            with pytest.raises(MessageIllegalError, match="1000"):
                await out.send("t", b"x" * 1001)
            with pytest.raises(MessageIllegalError, match="1000"):
                await out.send_batch("t", [b"x" * 600, b"x" * 600])
            with pytest.raises(MessageIllegalError, match="32255"):
                await out.send("t", b"x", properties={"a": "x" * 33000})
            assert cluster.network.sent(310) == cluster.network.sent(320) == []

    run(scenario())


def test_post_waits_while_too_many_sends_are_unanswered() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", max_pending=10) as out:
            await out.send("t", b"first")
            futures = [await out.post("t", b"x") for _ in range(10)]
            eleventh = asyncio.create_task(out.post("t", b"y"))
            await asyncio.sleep(0.001)
            assert not eleventh.done()
            await asyncio.gather(*futures)
            await (await eleventh)
            everything = await asyncio.gather(*(out.send("t", b"z") for _ in range(500)))
            assert len(everything) == 500

    run(scenario())


def test_post_waits_while_too_many_bytes_are_unanswered_but_one_large_body_passes() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", max_pending_bytes=100) as out:
            await out.send("t", b"x" * 1000)
            await out.post("t", b"x" * 60)
            second = asyncio.create_task(out.post("t", b"y" * 60))
            await asyncio.sleep(0.001)
            assert not second.done()
            await (await second)

    run(scenario())


def test_whoever_gives_up_waiting_for_room_passes_the_place_on() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", max_pending=1) as out:
            await out.send("t", b"first")
            first = await out.post("t", b"x")
            waiting = [asyncio.create_task(out.post("t", b"y")) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await first
            waiting[1].cancel()
            await (await waiting[2])

    run(scenario())


def test_closing_waits_for_what_was_accepted_and_then_leaves_the_group() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq:
            out = await mq.producer("p").open()
            futures = [await out.post("t", b"x") for _ in range(100)]
            await out.close()
            assert all(future.done() and future.exception() is None for future in futures)
            with pytest.raises(ClientClosedError):
                await out.send("t", b"x")
            assert {fields["producerGroup"] for _, fields in cluster.network.sent(35)} == {"p"}
            await out.close()
        with pytest.raises(ClientClosedError):
            await mq.producer("p").open()

    run(scenario())


def test_closing_waits_for_a_new_leader_too() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq:
            out = await mq.producer("p").open()
            await out.send("t", b"before")
            cluster.kill("a0:1")
            future = await out.post("t", b"x")
            closing = asyncio.create_task(out.close())
            await asyncio.sleep(1)
            assert not closing.done()
            cluster.elect("a", "a1:1")
            await closing
            assert future.done()
            assert sorted(cluster.bodies("t")) == [b"before", b"x"]

    run(scenario())


def test_closing_the_client_drains_what_is_open() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        mq = await connect(cluster).open()
        out = await mq.producer("p").open()
        await mq.consumer("g", "t").open()
        futures = [await out.post("t", b"x") for _ in range(10)]
        await mq.close()
        assert all(future.done() and future.exception() is None for future in futures)
        assert {fields.get("consumerGroup") for _, fields in cluster.network.sent(35)} == {"g", None}
        await mq.close()

    run(scenario())


def test_a_cancelled_send_leaves_its_shard_key_free_for_the_next() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            sends = [asyncio.create_task(out.send("t", str(n).encode(), shard="k")) for n in range(4)]
            await asyncio.sleep(0.001)
            for number in (0, 2):
                sends[number].cancel()
            await asyncio.gather(*sends, return_exceptions=True)
            assert cluster.bodies("t") in ([b"0", b"1", b"3"], [b"1", b"3"])

    run(scenario())


def test_a_refusal_that_may_pass_is_tried_again_elsewhere_under_the_same_id() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        for broker in (cluster.brokers["a0:1"], cluster.brokers["b0:1"]):
            broker.send_codes = [2]
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"x")
        sent = cluster.network.sent(310)
        assert [address[0] for address, _ in sent] in (["a", "b", "a"], ["b", "a", "b"])
        assert len({_properties(fields["i"])["UNIQ_KEY"] for _, fields in sent}) == 1

    run(scenario())


def test_a_sharded_message_is_tried_again_on_its_own_queue() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            receipt = await out.send("t", b"x", shard="k")
            cluster.brokers[f"{receipt.queue.broker}0:1"].send_codes = [2, 16]
            again = await out.send("t", b"y", shard="k")
        assert again.queue == receipt.queue

    run(scenario())


@pytest.mark.parametrize(
    ("codes", "name"),
    [
        ([2, 2, 2], "BrokerBusyError"), ([13], "MessageIllegalError"), ([16, 16, 16], "AccessDeniedError"),
        ([17, 17, 17], "RouteNotFoundError"), ([1, 1, 1], "OutcomeUnknownError"), ([26], "ServerError"),
        ([3], "UnsupportedError"), ([1, 2, 2], "OutcomeUnknownError"), ([2, 1, 13], "OutcomeUnknownError"),
    ],
)  # fmt: skip
def test_each_code_has_its_error_when_the_tries_are_used_up(codes: list[int], name: str) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        cluster.brokers["a0:1"].send_codes = list(codes)
        async with connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(MQError) as raised:
                await out.send("t", b"x")
            assert type(raised.value).__name__ == name
            assert raised.value.broker == "a0:1"
            assert len(cluster.network.sent(310)) == len(codes)

    run(scenario())


@pytest.mark.parametrize("code", [10, 11, 12])
def test_stored_but_unconfirmed_is_raised_with_the_receipt(code: int) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        broker = cluster.brokers["a0:1"]
        answered = broker._send

        def unconfirmed(exchange: Any, fields: dict[str, str], body: bytes) -> None:
            plain = exchange.answer
            exchange.answer = lambda _=0, fields=None, body=b"", remark="": plain(code, fields, body, remark)
            answered(exchange, fields, body)

        broker._send = unconfirmed  # type: ignore[method-assign]
        async with connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(StoredUnconfirmedError) as raised:
                await out.send("t", b"x")
            assert raised.value.receipt.queue_offset == 0  # type: ignore[attr-defined]
            assert raised.value.receipt.status != "ok"  # type: ignore[attr-defined]
            assert isinstance(raised.value, OutcomeUnknownError)

    run(scenario())


def test_a_codec_of_ones_own_is_two_methods() -> None:
    class Reversed(Raw):
        def encode(self, value: bytes, /) -> bytes:
            return value[::-1]

    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", codec=Reversed()) as out:
            await out.send("t", b"abc")
        assert cluster.bodies("t") == [b"cba"]

    run(scenario())
