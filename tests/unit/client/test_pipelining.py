"""Many posts at a time: what crosses together, what comes back together, and that nothing gets lost between."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from support.memory.client import connect, now
from support.memory.cluster import Broker, MemoryCluster
from support.memory.network import Exchange, MemoryTransport
from support.memory.virtual_time import run
from ternmq.client.receipts import SendReceipt
from ternmq.client.sender import _FLUSH_SENDS
from ternmq.errors import ClientClosedError, MessageIllegalError, MQError

Posted = list["asyncio.Future[SendReceipt]"]


def _cluster(groups: int = 1, queues: int = 4) -> MemoryCluster:
    cluster = MemoryCluster(groups=groups)
    cluster.create_topic("t", queues)
    return cluster


def _crossings(transport: MemoryTransport) -> list[list[Any]]:
    """Have a transport note what crosses."""
    seen: list[list[Any]] = []
    send = transport.send

    def noted(sender: int, sends: list[Any]) -> list[str | None]:
        seen.append(sends)
        return send(sender, sends)

    transport.send = noted  # type: ignore[method-assign]
    return seen


def test_posts_of_one_turn_cross_together_and_share_one_header() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", max_pending=10_000) as out:
            await out.send("t", b"first")
            crossings = _crossings(cluster.network.transports[0])
            posted = [await out.post("t", b"x") for _ in range(100)]
            await asyncio.gather(*posted)
            (together,) = crossings
            assert len(together) == 100
            assert len({id(send[3]) for send in together}) == 1
            crossings.clear()
            posted = [await out.post("t", b"x") for _ in range(2 * _FLUSH_SENDS + 1)]
            assert [len(sends) for sends in crossings] == [_FLUSH_SENDS, _FLUSH_SENDS], (
                "without waiting for the turn's end"
            )
            await asyncio.gather(*posted)
            assert len(crossings[2]) == 1

    run(scenario())


def test_posts_keep_their_order_in_every_queue() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p", max_pending=64) as out:
            posted = [await out.post("t", str(number).encode()) for number in range(1000)]
            receipts = await asyncio.gather(*posted)
        for group in cluster.groups.values():
            for number in range(4):
                bodies = [int(stored.body) for stored in group.queues["t", number]]
                assert bodies == sorted(bodies)
                assert len(bodies) == 125
        for number, receipt in enumerate(receipts):
            stored = cluster.groups[receipt.queue.broker].queues["t", receipt.queue.id][receipt.queue_offset]
            assert (int(stored.body), receipt.id in stored.properties) == (number, True)

    run(scenario())


def test_never_more_than_max_pending_are_unanswered_and_whoever_waits_comes_in_turn() -> None:
    async def scenario() -> None:
        cluster = _cluster(queues=1)
        async with connect(cluster) as mq, mq.producer("p", max_pending=10) as out:
            await out.send("t", b"0")
            transport = cluster.network.transports[0]
            send, unanswered = transport.send, [0]

            def counted(sender: int, sends: list[Any]) -> list[str | None]:
                made = send(sender, sends)
                unanswered.append(sum(isinstance(call_id, tuple) for call_id in transport._waiting))
                return made

            transport.send = counted  # type: ignore[method-assign]

            async def post_some(first: int) -> Posted:
                return [await out.post("t", str(number).encode()) for number in range(first, first + 3)]

            tasks = [asyncio.create_task(post_some(3 * index + 1)) for index in range(50)]
            for task in tasks:
                await asyncio.gather(*await task)
            assert max(unanswered) == 10
            assert [int(body) for body in cluster.bodies("t")][:15] == [*range(12), 13, 16, 19], "in turn"
            assert sorted(map(int, cluster.bodies("t"))) == list(range(151))

    run(scenario())


def test_sends_that_came_back_together_with_different_outcomes_each_get_their_own() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", retries=1) as out:
            await out.send("t", b"first")
            cluster.brokers["a0:1"].send_codes = [13, 2]  # the first is illegal, the second may be tried again
            posted = [await out.post("t", str(number).encode()) for number in range(6)]
            outcomes = await asyncio.gather(*posted, return_exceptions=True)
        assert isinstance(outcomes[0], MessageIllegalError)
        receipts = [receipt for receipt in outcomes[1:] if isinstance(receipt, SendReceipt)]
        assert len({receipt.id for receipt in receipts}) == 5
        assert sorted(cluster.bodies("t")) == [b"1", b"2", b"3", b"4", b"5", b"first"]

    run(scenario())


def test_a_kill_under_pipelined_posts_loses_nothing_and_every_future_ends_once() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        ended: Counter[int] = Counter()
        async with connect(cluster) as mq, mq.producer("p", max_pending=200, timeout=10) as out:
            posted: Posted = []

            def note(number: int, _: object) -> None:
                ended[number] += 1

            async def post_all() -> None:
                for number in range(2000):
                    future = await out.post("t", str(number).encode())
                    future.add_done_callback(partial(note, number))
                    posted.append(future)

            posting = asyncio.create_task(post_all())
            for address in ("a1:1", "a2:1"):
                await asyncio.sleep(0.005)
                leader = cluster.groups["a"].leader
                assert leader is not None
                assert not posting.done()
                cluster.brokers[leader].send_codes = [0] * 30  # stored, and the answers get lost
                await asyncio.sleep(0.002)
                cluster.kill(leader)
                await asyncio.sleep(0.3)
                cluster.elect("a", address)
            await posting
            receipts = await asyncio.gather(*posted)
            await asyncio.sleep(0)
        assert ended == Counter(range(2000))
        assert {int(body) for body in cluster.bodies("t")} == set(range(2000))
        queues = cluster.groups["a"].queues.values()
        ids = {stored.properties.split("\x02")[0] for queue in queues for stored in queue}
        assert len(ids) == len({receipt.id for receipt in receipts}) == 2000, "what is stored twice has the same id"

    run(scenario())


def _change_answers(broker: Broker, change: Callable[[Exchange], None]) -> None:
    """Have a test change how a broker answers sends."""
    send = broker._send

    def changed(exchange: Exchange, fields: dict[str, str], body: bytes) -> None:
        change(exchange)
        send(exchange, fields, body)

    broker._send = changed  # type: ignore[method-assign]


def test_a_late_answer_of_a_replaced_leader_ends_nothing_twice() -> None:
    def late(exchange: Exchange) -> None:
        answer = exchange.answer
        later = asyncio.get_running_loop().call_later

        def answer_later(*args: Any, **named: Any) -> None:
            later(1, partial(answer, *args, **named))

        exchange.answer = answer_later  # type: ignore[method-assign]

    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", timeout=10) as out:
            await out.send("t", b"first")
            _change_answers(cluster.brokers["a0:1"], late)
            posted = [await out.post("t", str(number).encode()) for number in range(10)]
            await asyncio.sleep(0.1)
            cluster.elect("a", "a1:1")
            mq.parts().metadata.refresh_all()
            began = now()
            receipts = await asyncio.gather(*posted)
            assert now() - began < 0.5, "the new leader has answered"
            await asyncio.sleep(2)
            assert (out._in_flight.count, out._in_flight.bytes) == (0, 0)
        assert len({receipt.id for receipt in receipts}) == 10
        assert len(cluster.bodies("t")) == 21

    run(scenario())


def test_a_receipt_names_the_queue_that_the_broker_took() -> None:
    def elsewhere(exchange: Exchange) -> None:
        answer = exchange.answer
        place = {"msgId": "m", "queueId": "7", "queueOffset": "5"}
        exchange.answer = lambda *_, **__: answer(fields=place)  # type: ignore[method-assign]

    async def scenario() -> None:
        cluster = _cluster()
        _change_answers(cluster.brokers["a0:1"], elsewhere)
        async with connect(cluster) as mq, mq.producer("p") as out:
            receipt = await out.send("t", b"x")
            batch = await out.send_batch("t", [b"x", b"y"])
        assert [(each.queue.id, each.queue_offset) for each in (receipt, *batch)] == [(7, 5), (7, 5), (7, 6)]

    run(scenario())


def test_cancelled_futures_free_their_place_and_harm_no_other() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", max_pending=20) as out:
            posted = [await out.post("t", str(number).encode()) for number in range(20)]
            for future in posted[::2]:
                future.cancel()
            more = [await out.post("t", b"more") for _ in range(40)]
            await asyncio.gather(*posted[1::2], *more)
            assert all(future.cancelled() for future in posted[::2])
            assert out._in_flight.count == out._in_flight.bytes == 0

    run(scenario())


def test_closing_drains_what_was_posted_and_refuses_whoever_still_waits_for_room() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq:
            out = await mq.producer("p", max_pending=5).open()
            posted = [await out.post("t", b"x") for _ in range(5)]
            waiting = asyncio.create_task(out.post("t", b"late"))
            await asyncio.sleep(0)
            await out.close()
            assert all(isinstance(future.result(), SendReceipt) for future in posted)
            with pytest.raises(ClientClosedError):
                await waiting
            assert cluster.bodies("t") == [b"x"] * 5

    run(scenario())


def test_sends_that_the_engine_cannot_read_fail_instead_of_waiting_for_ever() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"first")
            reported: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
            cluster.network.transports[0].send = lambda *_: 1 / 0  # type: ignore[assignment, method-assign]
            began = now()
            with pytest.raises(MQError, match="a0:1"):
                await out.send("t", b"x")
            assert now() - began < 0.1
            assert isinstance(reported[0]["exception"], ZeroDivisionError)

    run(scenario())
