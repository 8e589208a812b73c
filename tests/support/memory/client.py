"""A client of a cluster in memory, and what its scenarios do again and again."""

import asyncio
from collections.abc import Iterable
from typing import Any

from support.memory.cluster import MemoryCluster, virtual_wall_clock_ms
from ternmq.client.connection import Client
from ternmq.client.consumer import Consumer
from ternmq.client.messages import Message


def connect(cluster: MemoryCluster, timeout: float = 3.0) -> Client:
    """A client whose network is the cluster's."""
    return Client(cluster.endpoints, timeout, cluster.network.open_endpoint, virtual_wall_clock_ms)


def cluster_with_topic(queues: int = 1, groups: int = 1) -> MemoryCluster:
    """A cluster with topic ``t``."""
    cluster = MemoryCluster(groups=groups)
    cluster.create_topic("t", queues)
    return cluster


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


async def send(cluster: MemoryCluster, bodies: Iterable[Any], **arguments: Any) -> None:
    """Send to topic ``t`` with a client of its own."""
    async with connect(cluster) as mq, mq.producer("p") as out:
        for body in bodies:
            await out.send("t", str(body).encode(), **arguments)


async def read(inbox: Consumer[bytes], count: int) -> list[Message[bytes]]:
    """Read and acknowledge so many messages."""
    messages: list[Message[bytes]] = []
    while len(messages) < count:
        async with await anext(inbox) as message:
            messages.append(message)
    return messages


def numbers(messages: Iterable[Message[bytes]]) -> list[int]:
    """Bodies of numbered messages."""
    return [int(message.body) for message in messages]
