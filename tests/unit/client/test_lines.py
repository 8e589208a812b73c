"""What a client writes to the log, and how its objects look; on a network in memory, in virtual time."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from support.memory.client import cluster_with_topic, connect, send
from support.memory.virtual_time import run
from ternmq.client.messages import Message


@pytest.fixture(autouse=True)
def _at_info(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "ternmq"):
        yield


def test_opening_assignments_and_closing_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=4)
        async with connect(cluster) as mq, mq.producer("p"), mq.consumer("g", "t"):
            await asyncio.sleep(100)
        ident = mq.client_id
        assert [record.getMessage() for record in caplog.records if record.name.startswith("ternmq.client")] == [
            f"client {ident} is open, NameServers ns1:1",
            "producer p is open",
            "group g: 4 of 4 queues of t, 1 member",
            "consumer g of t is open",
            "consumer g of t is closed",
            "producer p is closed",
            f"client {ident} is closed",
        ]

    run(scenario())


def test_each_change_of_an_assignment_is_one_line_that_says_the_share_and_the_members(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        async with connect(cluster) as one, connect(cluster) as two, connect(cluster) as three, one.consumer("g", "t"):
            await asyncio.sleep(50)
            async with two.consumer("g", "t"):
                await asyncio.sleep(50)
                async with three.consumer("g", "t") as idle:
                    assert idle.queues == []
                    await asyncio.sleep(50)
        shares = [line for line in caplog.messages if line.startswith("group g: ")]
        assert shares.count("group g: 2 of 2 queues of t, 1 member") >= 1
        assert shares.count("group g: 1 of 2 queues of t, 2 members") >= 2
        assert shares.count("group g: 0 of 2 queues of t, 3 members") == 1, "a worker without queues says so"
        assert len(shares) <= 1 + 2 + 3 + 2 + 1

    run(scenario())


def test_messages_whose_queue_went_elsewhere_are_one_line_and_then_a_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(40))
        async with (
            connect(cluster) as one,
            connect(cluster) as two,
            one.consumer("g", "t", start="earliest") as inbox,
        ):
            held = [await anext(inbox) for _ in range(40)]
            async with two.consumer("g", "t"):
                await asyncio.sleep(5)
                for message in held:
                    async with message:
                        pass
                lines = [line for line in caplog.messages if "no longer held" in line]
                assert len(lines) == 1
                await asyncio.sleep(30)
                lines = [line for line in caplog.messages if "no longer held" in line]
                assert len(lines) == 2
                assert lines[1].startswith("19 more in 10 s, the last: message ")

    run(scenario())


def test_offsets_that_no_leader_takes_are_one_line_for_all_queues(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=8)
        await send(cluster, range(16))
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            for _ in range(16):
                async with await anext(inbox):
                    pass
            cluster.kill("a0:1")
            await asyncio.sleep(9)
            said = [line for line in caplog.messages if "not committed yet" in line]
            assert len(said) == 1
            assert said[0].startswith("group g: offsets of 8 queues are not committed yet, the first because ")
            cluster.elect("a", "a1:1")

    run(scenario())


def test_what_brokers_do_not_take_back_is_one_line_and_then_a_number(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, range(10))
        cluster.brokers["a0:1"].back_codes = [1] * 10
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            for _ in range(10):
                await (await anext(inbox)).nack()
        said = [line for line in caplog.messages if "is not taken back" in line]
        assert len(said) == 2
        assert said[1].startswith("9 more in 10 s")

    run(scenario())


def test_what_an_object_holds_shows_in_its_repr() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic(queues=2)
        await send(cluster, range(5))
        mq = connect(cluster)
        assert repr(mq) == "<Client of ns1:1 not open>"
        async with mq:
            out, inbox, log = (
                mq.producer("p"),
                mq.consumer("g", "t", start="earliest"),
                mq.consumer("h", "t", mode="pull"),
            )
            assert (repr(out), repr(inbox)) == ("<Producer p not open>", "<Consumer g@t not open>")
            async with out, inbox, log:
                assert repr(mq) == "<Client of ns1:1 3 producers and consumers>"
                held: list[Message[bytes]] = [await anext(inbox), await anext(inbox)]
                await out.send("t", b"5")
                await asyncio.sleep(1)
                assert repr(inbox) == "<Consumer g@t 2 queues, 4 messages ready, 2 not settled>"
                posted = await out.post("t", b"6")
                assert repr(out) == "<Producer p 1 topic, 1 send unanswered>"
                await posted
                batch = await anext(log.batches(max_size=1))
                assert repr(batch).startswith("<Batch of 1 from t@a#")
                assert repr(held[0]).endswith("attempt 1>")
                assert repr(mq.admin) == "<Admin of ns1:1>"
            assert (repr(out), repr(inbox)) == ("<Producer p closed>", "<Consumer g@t closed>")
        assert repr(mq) == "<Client of ns1:1 closed>"

    run(scenario())
