"""The clients of a fault run: producers, and consumers whose deliveries go into the history."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import ternmq
from fault.java_client import JavaConsumer
from fault.outcomes import Sender
from fault.plain_client import PlainSender, plain_consumer
from fault.result import Settings
from fault.tern_client import SEND_TIMEOUT_SECONDS, TernSender, tern_consumer
from fault.workload import Workload

PRODUCERS = 4
READERS, LATE_READERS = "fault-readers", "fault-late-readers"


def java_group(version: str) -> str:
    """The group of a Java client; each release has one of its own."""
    return f"fault-java-{version.replace('.', '-')}"


@dataclasses.dataclass
class Clients:
    """What is open.

    Args:
        senders: one for each producer.
        consumers: each runs until it is cancelled.
    """

    senders: list[Sender] = dataclasses.field(default_factory=list)
    consumers: list[Coroutine[None, None, None]] = dataclasses.field(default_factory=list)


@contextlib.asynccontextmanager
async def clients(settings: Settings, load: Workload, late_topic: str, home: Path) -> AsyncIterator[list[Sender]]:
    """Open all clients; the consumers write deliveries into the history until the block ends.

    Args:
        settings: which clients.
        load: gets the deliveries.
        late_topic: where messages come that were held back; a group of its own reads it.
        home: folder for what foreign clients write beside their work.

    Yields:
        The producers' clients.
    """
    async with contextlib.AsyncExitStack() as stack:
        load.subscribe(READERS, load.topic)
        load.subscribe(LATE_READERS, late_topic)
        opened = Clients()
        if settings.plain_client:
            _open_plain(opened, stack, load, late_topic)
        else:
            await _open_ours(opened, stack, load, late_topic)
        for version in settings.java_clients:
            _open_java(opened, stack, load, version, home)
        tasks = [asyncio.create_task(consumer) for consumer in opened.consumers]
        try:
            yield opened.senders
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for end in ends:
                # A reader that gave up would otherwise look like messages that never came.
                if isinstance(end, Exception):
                    raise end


def _open_plain(opened: Clients, stack: contextlib.AsyncExitStack, load: Workload, late_topic: str) -> None:
    addresses = load.subject.nameserver_addresses
    for _ in range(PRODUCERS):
        sender = PlainSender(addresses, load.certain)
        stack.push_async_callback(sender.close)
        opened.senders.append(sender)
    opened.consumers.append(load.consume("reader-0", READERS, plain_consumer(addresses, READERS, load.topic)))
    opened.consumers.append(load.consume("late", LATE_READERS, plain_consumer(addresses, LATE_READERS, late_topic)))


async def _open_ours(opened: Clients, stack: contextlib.AsyncExitStack, load: Workload, late_topic: str) -> None:
    for number in range(PRODUCERS):
        client = await stack.enter_async_context(ternmq.connect(load.subject.nameservers))
        producer = client.producer(f"fault-{number}", retries=0, timeout=SEND_TIMEOUT_SECONDS)
        opened.senders.append(TernSender(await stack.enter_async_context(producer)))
    for name, group, topic in (
        ("reader-0", READERS, load.topic),
        ("reader-1", READERS, load.topic),
        ("late", LATE_READERS, late_topic),
    ):
        client = await stack.enter_async_context(ternmq.connect(load.subject.nameservers))
        opened.consumers.append(load.consume(name, group, tern_consumer(client, group, topic)))


def _open_java(opened: Clients, stack: contextlib.AsyncExitStack, load: Workload, version: str, home: Path) -> None:
    group = java_group(version)
    load.subscribe(group, load.topic, side_by_side=True)
    consumer = JavaConsumer(home / group, version, load.subject.nameservers, group, load.topic)
    stack.push_async_callback(consumer.close)
    opened.consumers.append(load.consume(f"java {version}", group, consumer.messages()))
