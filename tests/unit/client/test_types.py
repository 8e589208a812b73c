"""The public API as type checkers see it: `make verify` checks this file, where an unused ignore is an error."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, assert_type

import ternmq
from ternmq import JSON, Batch, Consumer, Message, MessageQueue, Producer, SendReceipt, Text


@dataclass
class Order:
    """A payload."""

    id: str
    cents: int


async def _payloads_are_checked(mq: ternmq.Client) -> None:
    orders = JSON(Order)
    out = mq.producer("shop", codec=orders)
    assert_type(out, Producer[Order])
    assert_type(await out.send("orders", Order("A1", 990), tag="paid", keys=["A1"], shard="A1"), SendReceipt)
    assert_type(await out.send_batch("orders", [Order("B", 1)]), list[SendReceipt])
    await (await out.post("orders", Order("C", 2)))
    await out.send_oneway("orders", Order("D", 3))
    await out.send("orders", Order("E", 4), delay=timedelta(minutes=5))
    await out.send_batch("orders", [Order("F", 5)], delay=5)  # type: ignore[call-arg]
    await out.send("orders", b"bytes")  # type: ignore[arg-type]
    await out.send_batch("orders", ["text"])  # type: ignore[list-item]

    raw = mq.producer("shop")
    assert_type(raw, Producer[bytes])
    await raw.send("orders", "text")  # type: ignore[arg-type]
    await raw.send("orders", b"bytes", properties={"a": 1})  # type: ignore[dict-item]

    inbox = mq.consumer("billing", "orders", codec=orders, start="earliest")
    assert_type(inbox, Consumer[Order])
    async for message in inbox:
        async with message:
            assert_type(message, Message[Order])
            assert_type(message.value, Order)
    assert_type(mq.consumer("g", "t"), Consumer[bytes])
    assert_type(mq.consumer("g", "t", codec=Text()), Consumer[str])
    mq.consumer("g", "t", start="first")  # type: ignore[call-overload]

    log = mq.consumer("audit", "orders", codec=orders, mode="pull")
    await log.seek(to={MessageQueue("orders", "a", 0): 1})
    await log.seek(to="first")  # type: ignore[arg-type]
    async for batch in log.batches(max_size=500, max_wait=0.2):
        assert_type(batch, Batch[Order])
        assert_type(batch[0].value, Order)
        assert_type(batch[1:], list[Message[Order]])
        await batch.ack()
    mq.consumer("g", "t", ordered=True, max_attempts=3)
    mq.consumer("g", "t", mode="broadcast")  # type: ignore[call-overload]

    async def quote(message: Message[Order]) -> None:
        print(message.value.cents)  # noqa: T201

    async def other(message: Message[str]) -> None:
        print(message.value)  # noqa: T201

    await inbox.run(quote, concurrency=16)
    await inbox.run(other)  # type: ignore[arg-type]
    await mq.admin.create_topic("t", type="fifo", if_exists="ok")
    await mq.admin.create_topic("t", type="delay")  # type: ignore[arg-type]


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(ternmq, name) is not None for name in ternmq.__all__)
    assert sorted(ternmq.__all__) == dir(ternmq)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(ternmq, "Transaction")
    assert not TYPE_CHECKING
