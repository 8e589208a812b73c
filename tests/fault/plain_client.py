"""A producer and a consumer in plain Python over `support.speaker`, for servers that are not ours.

They are to Apache's brokers what our own client is to ours: they read routes again at once when a master goes away.
"""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Iterable

from fault.outcomes import Delivered, Outcome, outcome_of
from support.speaker import (
    PULL,
    QUERY_OFFSET,
    ROUTE,
    SEND,
    UPDATE_OFFSET,
    Answer,
    Speaker,
    SpeakerError,
    decode_records,
    lenient_json,
    pull_fields,
    send_fields,
)

TRY_AGAIN_SECONDS = 0.1


class Masters:
    """Connections to the masters that the NameServers show, found anew when one fails."""

    def __init__(self, nameservers: Iterable[str]) -> None:
        self._nameservers = list(nameservers)
        self._routes: dict[str, dict[str, tuple[str, int]]] = {}
        self._speakers: dict[str, Speaker] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    async def queues(self, topic: str) -> list[tuple[str, str, int]]:
        """Broker, address of its master, and number of each queue of a topic.

        Raises:
            SpeakerError: no NameServer shows a master for the topic.
        """
        if topic not in self._routes:
            self._routes[topic] = await self._ask_route(topic)
        return [
            (broker, address, queue)
            for broker, (address, count) in sorted(self._routes[topic].items())
            for queue in range(count)
        ]

    async def ask(self, address: str, code: int, fields: dict[str, str], body: bytes = b"") -> Answer:
        """Ask a server over the connection kept for it; raises SpeakerError."""
        return await (await self._speaker(address)).ask(code, fields, body)

    def forget(self, topic: str) -> None:
        """Read the topic's route again before its next use."""
        self._routes.pop(topic, None)

    async def close(self) -> None:
        """Close all connections."""
        for speaker in self._speakers.values():
            await speaker.close()

    async def _speaker(self, address: str) -> Speaker:
        async with self._opening.setdefault(address, asyncio.Lock()):
            speaker = self._speakers.get(address)
            if speaker is None or not speaker.is_open:
                if speaker is not None:
                    await speaker.close()
                speaker = self._speakers[address] = await Speaker(address).open()
            return speaker

    async def _ask_route(self, topic: str) -> dict[str, tuple[str, int]]:
        for nameserver in self._nameservers:
            with contextlib.suppress(SpeakerError, ValueError):
                answer = await self.ask(nameserver, ROUTE, {"topic": topic})
                if answer.code == 0 and (masters := masters_of(answer.body)):
                    return masters
        raise SpeakerError(f"no NameServer shows a master for {topic}")


def masters_of(route_body: bytes) -> dict[str, tuple[str, int]]:
    """Address of the master and number of writable queues by broker name, from a route."""
    route = lenient_json(route_body)
    queues = {item["brokerName"]: item["writeQueueNums"] for item in route["queueDatas"]}
    addresses = {item["brokerName"]: item["brokerAddrs"].get("0") for item in route["brokerDatas"]}
    return {broker: (addresses[broker], count) for broker, count in queues.items() if addresses.get(broker)}


class PlainSender:
    """A producer that tries once.

    Args:
        nameservers: addresses.
        certain: codes that prove that nothing was appended, on the servers that are tested.
    """

    def __init__(self, nameservers: Iterable[str], certain: frozenset[int]) -> None:
        self._masters = Masters(nameservers)
        self._certain = certain

    async def send(self, topic: str, key: str, body: bytes, level: int = 0) -> Outcome:
        """Send one message to the queue of its key."""
        properties = {"KEYS": key, **({"DELAY": str(level)} if level else {})}
        try:
            queues = await self._masters.queues(topic)
            broker, address, queue = queues[zlib.crc32(key.encode()) % len(queues)]
            answer = await self._masters.ask(address, SEND, send_fields(topic, queue, properties), body)
        except SpeakerError:
            self._masters.forget(topic)
            # Whoever finds no master at once must not ask in a busy loop.
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            return Outcome("info")
        if answer.code != 0:
            self._masters.forget(topic)
        return outcome_of(answer, broker, self._certain, level)

    async def close(self) -> None:
        """Close all connections."""
        await self._masters.close()


async def plain_consumer(nameservers: Iterable[str], group: str, topic: str) -> AsyncIterator[Delivered]:
    """All messages of a topic, each queue in order from the group's offset on; commits what was taken."""
    masters = Masters(nameservers)
    next_offsets: dict[tuple[str, int], int] = {}
    try:
        while True:
            found = False
            try:
                for broker, address, queue in await masters.queues(topic):
                    async for message in _pull(masters, address, group, topic, broker, queue, next_offsets):
                        found = True
                        yield message
            except SpeakerError:
                masters.forget(topic)
                # A new master may not have the last offsets: begin where it says.
                next_offsets.clear()
            if not found:
                await asyncio.sleep(TRY_AGAIN_SECONDS)
    finally:
        await masters.close()


async def _pull(
    masters: Masters, address: str, group: str, topic: str, broker: str, queue: int,
    next_offsets: dict[tuple[str, int], int],
) -> AsyncIterator[Delivered]:  # fmt: skip
    place = {"consumerGroup": group, "topic": topic, "queueId": str(queue)}
    if (broker, queue) not in next_offsets:
        stored = await masters.ask(address, QUERY_OFFSET, place)
        next_offsets[broker, queue] = int(stored.fields["offset"]) if stored.code == 0 else 0
    answer = await masters.ask(address, PULL, pull_fields(topic, queue, next_offsets[broker, queue], group))
    if answer.code in {2, 14, 16}:
        raise SpeakerError(f"{address} does not serve: {answer.code}")
    if answer.code != 0:
        return
    for record in decode_records(answer.body):
        yield Delivered(topic, broker, queue, record.queue_offset, record.body, 1)
        next_offsets[broker, queue] = record.queue_offset + 1
    await masters.ask(address, UPDATE_OFFSET, {**place, "commitOffset": str(next_offsets[broker, queue])})
