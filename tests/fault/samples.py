"""What is asked of the cluster beside the load, and written into the history: offsets, ends of queues, topics."""

import asyncio
import contextlib
import time

from fault.plain_client import Masters, masters_of
from fault.workload import SAMPLE_EVERY_SECONDS, Place, Workload, pause
from support.speaker import (
    CLUSTER_INFO,
    MAX_OFFSET,
    QUERY_OFFSET,
    ROUTE,
    UPDATE_OFFSET,
    SpeakerError,
    lenient_json,
)

TOPICS_EVERY_SECONDS = 1.0


class Samples:
    """A committer of offsets, and samplers.

    Args:
        load: whose topics are sampled, and whose history is written.
    """

    def __init__(self, load: Workload) -> None:
        self._load = load

    async def commit_offsets(self, group: str, stop: asyncio.Event) -> None:
        """Commit rising consumer offsets, two-way, and write what was acknowledged."""
        masters = Masters(self._load.subject.nameserver_addresses)
        offsets = dict.fromkeys(range(self._load.queues), 0)
        while not stop.is_set():
            for queue in offsets:
                place: Place = {
                    "topic": self._load.topic,
                    "broker": self._load.subject.group,
                    "queue": queue,
                    "group": group,
                }
                try:
                    address = await self._master(masters)
                    end = await masters.ask(address, MAX_OFFSET, self._queue_fields(queue))
                    if end.code != 0 or int(end.fields["offset"]) <= offsets[queue]:
                        continue
                    # Steps by one show a lost commit that steps to the end would hide.
                    offsets[queue] += 1
                    self._load.history.write("invoke", "commit_offset", **place, queue_offset=offsets[queue])
                    fields = {"consumerGroup": group, "commitOffset": str(offsets[queue]), **self._queue_fields(queue)}
                    answer = await masters.ask(address, UPDATE_OFFSET, fields)
                except SpeakerError:
                    masters.forget(self._load.topic)
                    continue
                if answer.code == 0:
                    self._load.history.write("ok", "commit_offset", **place, queue_offset=offsets[queue], code=0)
            await pause(stop, SAMPLE_EVERY_SECONDS)
        await masters.close()

    async def sample_offsets(self, group: str, stop: asyncio.Event) -> None:
        """Sample ends of queues and consumer offsets at the master."""
        masters = Masters(self._load.subject.nameserver_addresses)
        while not stop.is_set():
            for queue in range(self._load.queues):
                try:
                    await self.sample_queue(masters, group, queue)
                except SpeakerError:
                    masters.forget(self._load.topic)
            await pause(stop, SAMPLE_EVERY_SECONDS)
        await masters.close()

    async def sample_queue(self, masters: Masters, group: str, queue: int) -> None:
        """One sample of a queue's end and of a group's offset in it; raises SpeakerError."""
        place: Place = {"topic": self._load.topic, "broker": self._load.subject.group, "queue": queue}
        address = await self._master(masters)
        # A sample has the time of its question: what is acknowledged between question and answer need not be in it.
        asked = time.monotonic_ns()
        end = await masters.ask(address, MAX_OFFSET, self._queue_fields(queue))
        if end.code == 0:
            self._load.history.write("ok", "max_offset", **place, queue_offset=int(end.fields["offset"]), time_ns=asked)
        asked = time.monotonic_ns()
        fields = {"consumerGroup": group, "setZeroIfNotFound": "false", **self._queue_fields(queue)}
        stored = await masters.ask(address, QUERY_OFFSET, fields)
        if stored.code in {0, 22}:
            offset = int(stored.fields["offset"]) if stored.code == 0 else 0
            self._load.history.write("ok", "consumer_offset", **place, group=group, queue_offset=offset, time_ns=asked)

    async def sample_topics(self, stop: asyncio.Event) -> None:
        """Sample, at every NameServer that shows a master, whether it shows all topics that were made."""
        while not stop.is_set():
            await self.sample_topics_once()
            await pause(stop, TOPICS_EVERY_SECONDS)

    async def sample_topics_once(self) -> None:
        """One round over all NameServers and topics."""
        masters = Masters(())
        for nameserver in self._load.subject.nameserver_addresses:
            for topic in list(self._load.topics):
                with contextlib.suppress(SpeakerError, ValueError):
                    asked = time.monotonic_ns()
                    queues = await self._queues_shown(masters, nameserver, topic)
                    if queues is not None:
                        self._load.history.write(
                            "ok", "topic_queues", process=nameserver, topic=topic, broker=self._load.subject.group,
                            value=queues, time_ns=asked,
                        )  # fmt: skip
        await masters.close()

    async def _queues_shown(self, masters: Masters, nameserver: str, topic: str) -> int | None:
        before = await self._master_shown(masters, nameserver)
        route = await masters.ask(nameserver, ROUTE, {"topic": topic})
        if route.code == 0:
            shown = masters_of(route.body).get(self._load.subject.group)
            if shown is not None:
                return shown[1]
        # Missing counts only if one and the same master was shown all the time: its table should have it.
        after = await self._master_shown(masters, nameserver)
        return 0 if before is not None and before == after else None

    async def _master_shown(self, masters: Masters, nameserver: str) -> str | None:
        table = lenient_json((await masters.ask(nameserver, CLUSTER_INFO, {})).body).get("brokerAddrTable") or {}
        address: str | None = table.get(self._load.subject.group, {}).get("brokerAddrs", {}).get("0")
        return address

    async def _master(self, masters: Masters) -> str:
        return (await masters.queues(self._load.topic))[0][1]

    def _queue_fields(self, queue: int) -> dict[str, str]:
        return {"topic": self._load.topic, "queueId": str(queue)}
