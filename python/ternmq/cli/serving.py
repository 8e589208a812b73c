"""The life of one node's process: log, start, wait for a signal, stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from ternmq.cluster.descriptors import allow_all_descriptors
from ternmq.cluster.parent import die_with_parent
from ternmq.errors import MQError

_log = logging.getLogger("ternmq")


class Node(Protocol):
    """What a NameServer and a broker have in common."""

    async def start(self) -> None:
        """Listen and take part."""

    async def stop(self) -> None:
        """Drain and end."""


AnyNode = TypeVar("AnyNode", bound=Node)


def prepare(parent_pid: int | None) -> None:
    """Bind this process to its parent, give it all descriptors, and let it log to stderr with times in UTC."""
    allow_all_descriptors()
    if parent_pid is not None:
        die_with_parent(parent_pid)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def serve(make: Callable[[], AnyNode], failed: Callable[[AnyNode], Awaitable[str]] | None = None) -> None:
    """Run a node until SIGTERM or Ctrl-C, or until it cannot go on.

    Args:
        make: makes the node, on the running event loop.
        failed: waits until the node has stopped by itself, and gives its sentence.

    Raises:
        ConfigError: its configuration cannot be honoured.
        MQError: it could not go on; the sentence says why.
    """
    asyncio.run(_serve(make, failed))


async def _serve(make: Callable[[], AnyNode], failed: Callable[[AnyNode], Awaitable[str]] | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = make()
    try:
        await node.start()
        sentence = await _until_stopped(stop, failed, node)
        _log.info("stopping")
    finally:
        await node.stop()
    _log.info("stopped")
    if sentence is not None:
        raise MQError(sentence)


async def _until_stopped(
    stop: asyncio.Event, failed: Callable[[AnyNode], Awaitable[str]] | None, node: AnyNode
) -> str | None:
    """Wait for a signal or for the node's own end; only the latter has a sentence."""
    if failed is None:
        await stop.wait()
        return None
    signalled = asyncio.create_task(stop.wait())
    failure = asyncio.ensure_future(failed(node))
    waited: list[asyncio.Future[Any]] = [signalled, failure]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    sentence = failure.result() if failure.done() else None
    for task in waited:
        task.cancel()
    await asyncio.gather(*waited, return_exceptions=True)
    return sentence
