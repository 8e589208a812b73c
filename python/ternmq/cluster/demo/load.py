"""The load: producers that keep a record of what was promised to them, and a consumer that follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ternmq.client import Client, Message, Producer, SendReceipt
from ternmq.cluster.demo.meter import Meter
from ternmq.cluster.demo.verify import Delivery, QueuePosition, SendRecord
from ternmq.errors import LaunchError, MQError

SEQUENCE = "sequence"
KEY = "producer"
NEWCOMER = "newcomer"
_BODY_BYTES = 128
# A send may outlive an election: it waits for the new master inside this time.
_SEND_TIMEOUT_S = 10.0
_PAUSE_AFTER_ERROR_S = 0.05
_LAST_SEND_WITHIN_S = 30.0
_CATCH_UP_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.02


class Load:
    """Producers and a consumer of one topic.

    Args:
        client: connected to the cluster; not closed here.
        topic: exists already.
        keys: number of producers; each has a key of its own and one message on its way at a time.
        ordered: a producer's messages go to one queue, and wait for it; else wherever a master is.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: Client,
        topic: str,
        keys: int,
        *,
        ordered: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._topic = topic
        self._keys = [f"key-{number:02}" for number in range(keys)]
        self._ordered = ordered
        self._clock = clock
        self._stopping = False
        self._producing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self.record = SendRecord()
        self.meter = Meter()

    async def greet(self, newcomer: Client, messages: int) -> None:
        """Send a few messages through another client, one after the other, under a key of its own.

        Raises:
            MQError: one of them was not acknowledged.
        """
        async with newcomer.producer("demo-newcomer", timeout=_SEND_TIMEOUT_S) as producer:
            for sequence in range(messages):
                body = body_of(NEWCOMER, sequence)
                self.record.sending(NEWCOMER, sequence, body)
                receipt = await self._send(producer, NEWCOMER, sequence, body)
                self.record.acknowledge(NEWCOMER, sequence, position_of(receipt))

    def start(self) -> None:
        """Begin to send and to follow."""
        self._producing = asyncio.create_task(self._produce_all())
        self._following = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Let each producer finish the message that it is sending, and the follower read what was sent, then end.

        Raises:
            LaunchError: some got no acknowledgement any more.
        """
        self._stopping = True
        if self._producing is None:
            await self._end(self._following)
            return
        done, _ = await asyncio.wait({self._producing}, timeout=_LAST_SEND_WITHIN_S)
        if not done:
            await self.abort()
            raise LaunchError(
                f"some producers got no acknowledgement for {_LAST_SEND_WITHIN_S:g} s: {self.meter.refused}"
            )
        await self._caught_up()
        await self._end(self._following)
        await self._producing

    async def _caught_up(self) -> None:
        """Wait until the follower has got as much as was acknowledged; it is no proof, so not for ever."""
        give_up = self._clock() + _CATCH_UP_WITHIN_S
        # A figure, not an event: the follower is not to know of it.
        while self.meter.consumed < len(self.record.acknowledged) and self._clock() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY_S)

    async def abort(self) -> None:
        """End at once, whatever is on its way."""
        await self._end(self._following)
        await self._end(self._producing)

    @staticmethod
    async def _end(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _produce_all(self) -> None:
        async with (
            self._client.producer("demo-producers", timeout=_SEND_TIMEOUT_S) as producer,
            asyncio.TaskGroup() as group,
        ):
            for key in self._keys:
                group.create_task(self._produce(producer, key))

    async def _produce(self, producer: Producer[bytes], key: str) -> None:
        sequence = 0
        last = self._clock()
        while not self._stopping:
            body = body_of(key, sequence)
            self.record.sending(key, sequence, body)
            receipt = await self._until_acknowledged(producer, key, sequence, body)
            now = self._clock()
            self.meter.acknowledged(key, last, now)
            self.record.acknowledge(key, sequence, position_of(receipt))
            last = now
            sequence += 1

    async def _until_acknowledged(self, producer: Producer[bytes], key: str, sequence: int, body: bytes) -> SendReceipt:
        """Send the same message again until it is acknowledged; only so can order within a key be asked for."""
        while True:
            try:
                return await self._send(producer, key, sequence, body)
            except MQError as error:
                name = type(error).__name__
                self.meter.refused[name] = self.meter.refused.get(name, 0) + 1
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)

    async def _send(self, producer: Producer[bytes], key: str, sequence: int, body: bytes) -> SendReceipt:
        shard = key if self._ordered else None
        properties = {SEQUENCE: str(sequence), KEY: key}
        return await producer.send(self._topic, body, shard=shard, keys=[key], properties=properties)

    async def _follow(self) -> None:
        async with self._client.consumer("demo-followers", self._topic, start="earliest") as inbox:
            async for message in inbox:
                async with message:
                    self.meter.consumed += 1


def body_of(key: str, sequence: int) -> bytes:
    """Make a body that belongs to one message only."""
    head = f"{key}/{sequence}/".encode()
    return (head * (_BODY_BYTES // len(head) + 1))[:_BODY_BYTES]


def position_of(receipt: SendReceipt) -> QueuePosition:
    """Say where a receipt promises the message to be."""
    return QueuePosition(f"{receipt.queue.broker}:{receipt.queue.id}", receipt.queue_offset)


def delivery_of(message: Message[bytes]) -> Delivery:
    """Note a message as a consumer got it; a missing or damaged property makes it a message that nobody sent."""
    sequence = message.properties.get(SEQUENCE, "")
    return Delivery(
        message.properties.get(KEY, ""),
        int(sequence) if sequence.isdigit() else -1,
        message.body,
        QueuePosition(f"{message.queue.broker}:{message.queue.id}", message.queue_offset),
    )
