"""The load of a fault run, all of it written into one history: producers and readers."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from fault.outcomes import LEVEL_SECONDS, Delivered, Outcome, Sender, digest_of, make_body, uid_of
from fault.plain_client import Masters
from support.processes import wait_for
from support.speaker import CREATE_TOPIC, PULL, SpeakerError, decode_records, pull_fields
from support.subject import Subject
from ternmq.chaos.history import HistoryWriter

BODY_BYTES = 256
SAMPLE_EVERY_SECONDS = 0.1
# 11 and 12: stored by the master, and not known to be with a slave.
STORED_UNCONFIRMED = (11, 12)

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
        self.unconfirmed = 0
        self.topics: dict[str, int] = {}
        self.newest_topic_ns = 0
        self.acknowledged_of: dict[str, set[str]] = {}
        self.delivered_to: dict[str, set[str]] = {}
        self._subscriptions: list[tuple[str, str]] = []
        self._uids = itertools.count(1)

    def subscribe(self, group: str, topic: str, *, side_by_side: bool = False) -> None:
        """Write that a group gets everything of a topic from here on, and owe it that.

        Args:
            group: the consumer group.
            topic: what it reads.
            side_by_side: whether it handles messages of one queue at the same time, so that their order is not seen.
        """
        self.history.write("ok", "subscribe", group=group, topic=topic, side_by_side=side_by_side)
        self._subscriptions.append((group, topic))
        self.delivered_to[group] = set()

    def everybody_has_something(self) -> bool:
        """Whether every group has got a message."""
        return all(self.delivered_to.values())

    def everybody_has_everything(self) -> bool:
        """Whether every group has got what was acknowledged."""
        return all(
            self.acknowledged_of.get(topic, set()) <= self.delivered_to[group] for group, topic in self._subscriptions
        )

    async def produce(
        self, name: str, sender: Sender, topic: str, key: str, seconds: float, stop: asyncio.Event, level: int = 0
    ) -> None:
        """Send one message of a key after another until told to stop.

        Args:
            name: the producer, for the history.
            sender: its client; shared by its keys.
            topic: where to.
            key: the ordering key.
            seconds: between two sends: the rate.
            stop: ends the loop.
            level: delay level; 0 for messages that are not held back.
        """
        for sequence in itertools.count():
            if stop.is_set():
                return
            uid, body = self.new_message()
            self.invoked(name, topic, uid, body, key, sequence, level)
            self.ended(name, topic, uid, await sender.send(topic, key, body, level))
            await pause(stop, seconds)

    def new_message(self) -> tuple[str, bytes]:
        """A uid that nothing else has, and a payload that carries it."""
        uid = f"m{next(self._uids)}"
        return uid, make_body(uid, BODY_BYTES)

    def invoked(self, name: str, topic: str, uid: str, body: bytes, key: str, sequence: int, level: int = 0) -> None:
        """Write that a send begins; must be called before its first byte leaves."""
        self.history.write(
            "invoke", "send", process=name, topic=topic, uid=uid, attempt=1, key=key, sequence=sequence,
            digest=digest_of(body), value=LEVEL_SECONDS[level] * 1000 if level else None,
        )  # fmt: skip

    def ended(self, name: str, topic: str, uid: str, outcome: Outcome) -> None:
        """Write how a send ended."""
        self.history.write(
            outcome.kind, "send", process=name, topic=topic, uid=uid, code=outcome.code, broker=outcome.broker,
            queue=outcome.queue, queue_offset=outcome.queue_offset, message_id=outcome.message_id,
        )  # fmt: skip
        if outcome.kind == "ok":
            self.acknowledged += 1
            self.acknowledged_of.setdefault(topic, set()).add(uid)
        self.unconfirmed += outcome.code in STORED_UNCONFIRMED

    async def until_acknowledged(self, more: int, within: float) -> None:
        """Wait for more acknowledgements; raises TimeoutError."""
        wanted = self.acknowledged + more
        await asyncio.to_thread(wait_for, lambda: self.acknowledged >= wanted, within, f"{more} more acknowledgements")

    async def until_unconfirmed(self, more: int, within: float) -> None:
        """Wait for more sends that the master alone has stored, and says so; raises TimeoutError."""
        wanted = self.unconfirmed + more
        await asyncio.to_thread(wait_for, lambda: self.unconfirmed >= wanted, within, f"{more} more codes 11 or 12")

    async def consume(self, name: str, group: str, messages: AsyncIterator[Delivered]) -> None:
        """Write every message that an application gets."""
        async for message in messages:
            uid = uid_of(message.body)
            self.history.write(
                "ok", "deliver", process=name, group=group, topic=message.topic, broker=message.broker,
                queue=message.queue, queue_offset=message.queue_offset, uid=uid, digest=digest_of(message.body),
                attempt=message.attempt,
            )  # fmt: skip
            self.delivered_to[group].add(uid)

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
            await pause(stop, SAMPLE_EVERY_SECONDS)
        await masters.close()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, unless told to stop."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _topic_fields(topic: str, queues: int) -> dict[str, str]:
    return {
        "topic": topic, "defaultTopic": "TBW102", "readQueueNums": str(queues), "writeQueueNums": str(queues),
        "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
    }  # fmt: skip
