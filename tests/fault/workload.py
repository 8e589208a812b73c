"""The load of a fault run, all of it written into one history: producers, readers, a committer, samplers."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from fault.outcomes import Delivered, Outcome, Sender, digest_of, make_body, uid_of
from fault.plain_client import Masters, masters_of
from support.processes import wait_for
from support.speaker import (
    CLUSTER_INFO,
    CREATE_TOPIC,
    MAX_OFFSET,
    PULL,
    QUERY_OFFSET,
    ROUTE,
    UPDATE_OFFSET,
    SpeakerError,
    decode_records,
    lenient_json,
    pull_fields,
)
from support.subject import Subject
from ternmq.chaos.history import HistoryWriter

BODY_BYTES = 256
SAMPLE_EVERY_SECONDS = 0.1
TOPICS_EVERY_SECONDS = 1.0

# Members of an event that name a queue.
Place = dict[str, Any]


class Workload:
    """Everything that runs beside the faults.

    Args:
        subject: the cluster.
        history: where all of it is written.
        topic: the topic under load.
        queues: its number of queues.
        certain: codes that prove that nothing was appended.
    """

    def __init__(
        self, subject: Subject, history: HistoryWriter, topic: str, queues: int, certain: frozenset[int]
    ) -> None:
        self.subject = subject
        self.history = history
        self.topic = topic
        self.queues = queues
        self.certain = certain
        self.acknowledged = 0
        self.topics: dict[str, int] = {}
        self.newest_topic_ns = 0
        self.delivered: set[str] = set()
        self.owed: set[str] = set()
        self._uids = itertools.count(1)

    async def produce(self, name: str, sender: Sender, key: str, pause: float, stop: asyncio.Event) -> None:
        """Send one message of a key after another until told to stop.

        Args:
            name: the producer, for the history.
            sender: its client; shared by its keys.
            key: the ordering key.
            pause: seconds between two sends: the rate.
            stop: ends the loop.
        """
        for sequence in itertools.count():
            if stop.is_set():
                return
            await self.send_once(name, sender, self.topic, key, sequence)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def send_once(self, name: str, sender: Sender, topic: str, key: str, sequence: int) -> Outcome:
        """One attempt of a send with a uid of its own, and its two lines of history."""
        uid, body = self.new_message()
        self.invoked(name, topic, uid, body, key, sequence)
        outcome = await sender.send(topic, key, body)
        self.ended(name, topic, uid, outcome)
        return outcome

    def new_message(self) -> tuple[str, bytes]:
        """A uid that nothing else has, and a payload that carries it."""
        uid = f"m{next(self._uids)}"
        return uid, make_body(uid, BODY_BYTES)

    def invoked(self, name: str, topic: str, uid: str, body: bytes, key: str, sequence: int) -> None:
        """Write that a send begins; must be called before its first byte leaves."""
        self.history.write(
            "invoke", "send", process=name, topic=topic, uid=uid, attempt=1, key=key, sequence=sequence,
            digest=digest_of(body),
        )  # fmt: skip

    def ended(self, name: str, topic: str, uid: str, outcome: Outcome) -> None:
        """Write how a send ended."""
        self.history.write(
            outcome.kind, "send", process=name, topic=topic, uid=uid, code=outcome.code, broker=outcome.broker,
            queue=outcome.queue, queue_offset=outcome.queue_offset, message_id=outcome.message_id,
        )  # fmt: skip
        if outcome.kind == "ok":
            self.acknowledged += 1
            if topic == self.topic:
                self.owed.add(uid)

    async def until_acknowledged(self, more: int, within: float) -> None:
        """Wait for more acknowledgements; raises TimeoutError."""
        wanted = self.acknowledged + more
        await asyncio.to_thread(wait_for, lambda: self.acknowledged >= wanted, within, f"{more} more acknowledgements")

    async def consume(self, name: str, group: str, messages: AsyncIterator[Delivered]) -> None:
        """Write every message that an application gets."""
        async for message in messages:
            uid = uid_of(message.body)
            self.history.write(
                "ok", "deliver", process=name, group=group, topic=message.topic, broker=message.broker,
                queue=message.queue, queue_offset=message.queue_offset, uid=uid, digest=digest_of(message.body),
                attempt=message.attempt,
            )  # fmt: skip
            self.delivered.add(uid)

    async def create_topic(self, topic: str, queues: int) -> bool:
        """Make a topic at the master, two-way; True if it was acknowledged."""
        broker = self.subject.group
        master = await asyncio.to_thread(self.subject.master)
        if master is None:
            return False
        self.history.write("invoke", "create_topic", topic=topic, broker=broker, value=queues)
        masters = Masters(())
        kind: Literal["ok", "info"] = "info"
        try:
            answer = await masters.ask(self.subject.address(master), CREATE_TOPIC, _topic_fields(topic, queues))
            kind = "ok" if answer.code == 0 else "info"
        except SpeakerError:
            pass
        finally:
            await masters.close()
        self.history.write(kind, "create_topic", topic=topic, broker=broker, value=queues)
        if kind == "ok":
            self.topics[topic] = queues
            self.newest_topic_ns = time.monotonic_ns()
        return kind == "ok"

    async def read_everywhere(self, stop: asyncio.Event) -> None:
        """A second reader: tails all queues, and asks another replica for each pull; they may only show one truth."""
        masters = Masters(())
        replicas = itertools.cycle(self.subject.brokers)
        next_offsets = dict.fromkeys(range(self.queues), 0)
        while not stop.is_set():
            for queue in next_offsets:
                address = self.subject.address(next(replicas))
                with contextlib.suppress(SpeakerError):
                    answer = await masters.ask(
                        address, PULL, pull_fields(self.topic, queue, next_offsets[queue], "tail")
                    )
                    if answer.code != 0:
                        continue
                    for record in decode_records(answer.body):
                        self.history.write(
                            "ok", "read", process=f"tail {address}", topic=self.topic, broker=self.subject.group,
                            queue=queue, queue_offset=record.queue_offset, uid=uid_of(record.body),
                            digest=digest_of(record.body),
                        )  # fmt: skip
                        next_offsets[queue] = record.queue_offset + 1
            await _pause(stop, SAMPLE_EVERY_SECONDS)
        await masters.close()

    async def commit_offsets(self, group: str, stop: asyncio.Event) -> None:
        """Commit rising consumer offsets, two-way, and write what was acknowledged."""
        masters = Masters(self.subject.nameserver_addresses)
        offsets = dict.fromkeys(range(self.queues), 0)
        while not stop.is_set():
            for queue in offsets:
                place: Place = {"topic": self.topic, "broker": self.subject.group, "queue": queue, "group": group}
                try:
                    address = await self._master(masters)
                    end = await masters.ask(address, MAX_OFFSET, self._queue_fields(queue))
                    if end.code != 0 or int(end.fields["offset"]) <= offsets[queue]:
                        continue
                    # Steps by one show a lost commit that steps to the end would hide.
                    offsets[queue] += 1
                    self.history.write("invoke", "commit_offset", **place, queue_offset=offsets[queue])
                    fields = {"consumerGroup": group, "commitOffset": str(offsets[queue]), **self._queue_fields(queue)}
                    answer = await masters.ask(address, UPDATE_OFFSET, fields)
                except SpeakerError:
                    masters.forget(self.topic)
                    continue
                if answer.code == 0:
                    self.history.write("ok", "commit_offset", **place, queue_offset=offsets[queue], code=0)
            await _pause(stop, SAMPLE_EVERY_SECONDS)
        await masters.close()

    async def sample_offsets(self, group: str, stop: asyncio.Event) -> None:
        """Sample ends of queues and consumer offsets at the master."""
        masters = Masters(self.subject.nameserver_addresses)
        while not stop.is_set():
            for queue in range(self.queues):
                try:
                    await self.sample_queue(masters, group, queue)
                except SpeakerError:
                    masters.forget(self.topic)
            await _pause(stop, SAMPLE_EVERY_SECONDS)
        await masters.close()

    async def sample_queue(self, masters: Masters, group: str, queue: int) -> None:
        """One sample of a queue's end and of a group's offset in it; raises SpeakerError."""
        place: Place = {"topic": self.topic, "broker": self.subject.group, "queue": queue}
        address = await self._master(masters)
        # A sample has the time of its question: what is acknowledged between question and answer need not be in it.
        asked = time.monotonic_ns()
        end = await masters.ask(address, MAX_OFFSET, self._queue_fields(queue))
        if end.code == 0:
            self.history.write("ok", "max_offset", **place, queue_offset=int(end.fields["offset"]), time_ns=asked)
        asked = time.monotonic_ns()
        fields = {"consumerGroup": group, "setZeroIfNotFound": "false", **self._queue_fields(queue)}
        stored = await masters.ask(address, QUERY_OFFSET, fields)
        if stored.code in {0, 22}:
            offset = int(stored.fields["offset"]) if stored.code == 0 else 0
            self.history.write("ok", "consumer_offset", **place, group=group, queue_offset=offset, time_ns=asked)

    async def sample_topics(self, stop: asyncio.Event) -> None:
        """Sample, at every NameServer that shows a master, whether it shows all topics that were made."""
        while not stop.is_set():
            await self.sample_topics_once()
            await _pause(stop, TOPICS_EVERY_SECONDS)

    async def sample_topics_once(self) -> None:
        """One round over all NameServers and topics."""
        masters = Masters(())
        for nameserver in self.subject.nameserver_addresses:
            for topic in list(self.topics):
                with contextlib.suppress(SpeakerError, ValueError):
                    asked = time.monotonic_ns()
                    queues = await self._queues_shown(masters, nameserver, topic)
                    if queues is not None:
                        self.history.write(
                            "ok", "topic_queues", process=nameserver, topic=topic, broker=self.subject.group,
                            value=queues, time_ns=asked,
                        )  # fmt: skip
        await masters.close()

    async def _queues_shown(self, masters: Masters, nameserver: str, topic: str) -> int | None:
        before = await self._master_shown(masters, nameserver)
        route = await masters.ask(nameserver, ROUTE, {"topic": topic})
        if route.code == 0:
            shown = masters_of(route.body).get(self.subject.group)
            if shown is not None:
                return shown[1]
        # Missing counts only if one and the same master was shown all the time: its table should have it.
        after = await self._master_shown(masters, nameserver)
        return 0 if before is not None and before == after else None

    async def _master_shown(self, masters: Masters, nameserver: str) -> str | None:
        table = lenient_json((await masters.ask(nameserver, CLUSTER_INFO, {})).body).get("brokerAddrTable") or {}
        address: str | None = table.get(self.subject.group, {}).get("brokerAddrs", {}).get("0")
        return address

    async def _master(self, masters: Masters) -> str:
        return (await masters.queues(self.topic))[0][1]

    def _queue_fields(self, queue: int) -> dict[str, str]:
        return {"topic": self.topic, "queueId": str(queue)}


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _topic_fields(topic: str, queues: int) -> dict[str, str]:
    return {
        "topic": topic, "defaultTopic": "TBW102", "readQueueNums": str(queues), "writeQueueNums": str(queues),
        "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
    }  # fmt: skip
