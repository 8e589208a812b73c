"""`connect` and the client: one network, one set of routes, one membership for its producers and consumers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar, overload

from ternmq.client import arguments, atfork, loops
from ternmq.client.admin import Admin
from ternmq.client.arguments import Mode, OnDecodeError, Start
from ternmq.client.codecs import Codec, Raw
from ternmq.client.consumer import Consumer
from ternmq.client.filters import TagFilter
from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.membership import Membership
from ternmq.client.metadata import Metadata
from ternmq.client.nameservers import NameServers
from ternmq.client.parts import Closable, Parts
from ternmq.client.producer import Producer
from ternmq.errors import ClientClosedError, ConfigError, ForkedClientError
from ternmq.remoting import Endpoint, open_endpoint

T = TypeVar("T")

_log = logging.getLogger(__name__)

_MIB = 1 << 20
_MAX_CALLS = 200_000
_MAX_CALL_BYTES = 1 << 30
"""Bounds of all calls of a client together; producers keep narrower ones, and those wait instead of failing."""

_sequence = itertools.count()


def open_default_endpoint() -> Endpoint:
    """The engine's transport, with bounds that producers and consumers reach first."""
    return open_endpoint(max_pending=_MAX_CALLS, max_pending_bytes=_MAX_CALL_BYTES)


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Client:
    """A connection to a cluster; made by `connect`, used as an async context manager.

    Args:
        nameservers: addresses, ``host:port``.
        timeout: seconds for one request, and for looking up a route.
        open_network: makes the endpoint; tests put their own network here.
        clock: milliseconds since 1970; tests put their own time here.
    """

    def __init__(
        self,
        nameservers: tuple[str, ...],
        timeout: float,
        open_network: Callable[[], Endpoint] = open_default_endpoint,
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.nameservers = nameservers
        self.client_id = f"{socket.gethostname()}@{os.getpid()}#{time.time_ns()}{next(_sequence)}"
        self._timeout = timeout
        self._open_network = open_network
        self._clock = clock
        self._parts: Parts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._forked: str | None = None
        self._children: list[Closable] = []

    def __repr__(self) -> str:
        state = f"{len(self._children)} producers and consumers" if self._parts is not None else "not open"
        return f"<Client of {';'.join(self.nameservers)} {'closed' if self._closed else state}>"

    async def open(self) -> Client:
        """Start the network; `async with` does it. Nothing is sent before the first use.

        Raises:
            ConfigError: opened before.
        """
        if self._parts is not None or self._closed:
            raise ConfigError("this client was opened before; connect() makes a new one")
        endpoint = self._open_network()
        metadata = Metadata(endpoint, NameServers(endpoint, self.nameservers), self._timeout)
        membership = Membership(endpoint, metadata, self.client_id)
        self._parts = Parts(endpoint, metadata, membership, self._timeout, self._clock)
        self._loop = asyncio.get_running_loop()
        atfork.register(self)
        _log.info("client %s is open, NameServers %s", self.client_id, ", ".join(self.nameservers))
        return self

    async def close(self) -> None:
        """Close producers and consumers, which drains them, then the network.

        Raises:
            ForeignLoopError: it was opened in another event loop.
        """
        parts = self._parts
        if parts is None:
            return
        self._check_loop()
        # The reverse of `open`: producers and consumers drain over the network that is closed last.
        self._closed = True
        atfork.unregister(self)
        await asyncio.gather(*(child.close() for child in tuple(self._children)))
        self._parts = None
        await parts.membership.close()
        await parts.metadata.close()
        await parts.endpoint.close()
        _log.info("client %s is closed", self.client_id)

    def abandon(self) -> None:
        """Raise `ForkedClientError` at every use from now on, in a child process; closing does nothing there."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        self._closed = True
        self._loop = None
        self._forked = why = f"client {self.client_id} belongs to the parent process; open another one after a fork"
        parts.endpoint.abandon()
        for child in self._children:
            child.abandon(why)

    async def __aenter__(self) -> Client:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def admin(self) -> Admin:
        """Operations on topics and the cluster.

        Raises:
            ClientClosedError: the client is not open.
        """
        parts = self.parts()
        return Admin(parts.endpoint, parts.metadata, LeaderCalls(parts.endpoint, parts.metadata), parts.timeout)

    @overload
    def producer(
        self,
        group: str,
        *,
        retries: int = ...,
        timeout: float | timedelta = ...,
        max_pending: int = ...,
        max_pending_bytes: int = ...,
        compress_over: int = ...,
        max_message: int = ...,
    ) -> Producer[bytes]: ...

    @overload
    def producer(
        self,
        group: str,
        *,
        codec: Codec[T],
        retries: int = ...,
        timeout: float | timedelta = ...,
        max_pending: int = ...,
        max_pending_bytes: int = ...,
        compress_over: int = ...,
        max_message: int = ...,
    ) -> Producer[T]: ...

    def producer(
        self,
        group: str,
        *,
        codec: Codec[Any] | None = None,
        retries: int = 2,
        timeout: float | timedelta = 3.0,
        max_pending: int = 1024,
        max_pending_bytes: int = 100 * _MIB,
        compress_over: int = 4096,
        max_message: int = 4 * _MIB,
    ) -> Producer[Any]:
        """Make a producer.

        Args:
            group: name of the producer group.
            codec: turns payloads into bodies; without one they are bytes.
            retries: more tries of a send, on network errors and on refusals that may pass.
            timeout: seconds for a send with all its tries and waits.
            max_pending: unanswered sends; more wait.
            max_pending_bytes: the same in bytes of bodies.
            compress_over: bytes from which a body is compressed.
            max_message: most bytes of a body.

        Raises:
            ConfigError: an argument is wrong.
        """
        return Producer(
            self,
            group,
            Raw() if codec is None else codec,
            retries=retries,
            timeout=timeout,
            max_pending=max_pending,
            max_pending_bytes=max_pending_bytes,
            compress_over=compress_over,
            max_message=max_message,
        )

    @overload
    def consumer(
        self,
        group: str,
        topic: str,
        *,
        filter: str = ...,
        start: Start = ...,
        max_in_flight: int = ...,
        max_bytes: int = ...,
        max_total_bytes: int = ...,
        pull_batch: int = ...,
        max_processing: float | timedelta = ...,
        mode: Mode = ...,
        ordered: bool = ...,
        max_attempts: int | None = ...,
        on_decode_error: OnDecodeError = ...,
    ) -> Consumer[bytes]: ...

    @overload
    def consumer(
        self,
        group: str,
        topic: str,
        *,
        codec: Codec[T],
        filter: str = ...,
        start: Start = ...,
        max_in_flight: int = ...,
        max_bytes: int = ...,
        max_total_bytes: int = ...,
        pull_batch: int = ...,
        max_processing: float | timedelta = ...,
        mode: Mode = ...,
        ordered: bool = ...,
        max_attempts: int | None = ...,
        on_decode_error: OnDecodeError = ...,
    ) -> Consumer[T]: ...

    def consumer(
        self,
        group: str,
        topic: str,
        *,
        codec: Codec[Any] | None = None,
        filter: str = "*",
        start: Start = "latest",
        max_in_flight: int = 1000,
        max_bytes: int = 100 * _MIB,
        max_total_bytes: int = 256 * _MIB,
        pull_batch: int = 32,
        max_processing: float | timedelta = timedelta(minutes=15),
        mode: Mode = "push",
        ordered: bool = False,
        max_attempts: int | None = None,
        on_decode_error: OnDecodeError = "retry",
    ) -> Consumer[Any]:
        """Make a consumer, a member of a group.

        Args:
            group: name of the consumer group. A client may have several consumers of a group, of one topic or of
                several; all consumers of a group that read a topic must read it with the same filter.
            topic: what to read.
            codec: turns bodies into payloads; without one they are bytes.
            filter: ``*`` or tags, ``a || b``.
            start: where a group without a stored offset begins: ``latest``, ``earliest`` or a datetime with time zone.
            max_in_flight: fetched and unsettled messages of one queue.
            max_bytes: the same in bytes of bodies.
            max_total_bytes: bytes of all queues together.
            pull_batch: most messages of one request.
            max_processing: seconds after which a delivered message counts as failed.
            mode: ``push`` delivers messages one by one; ``pull`` has `Consumer.batches` and `Consumer.seek`.
            ordered: one message of a queue at a time, under a lock that no other member of the group has meanwhile.
            max_attempts: how often a message is delivered before it becomes a dead letter, 1 for once; None: 16 times,
                and without end in order.
            on_decode_error: ``retry`` has a message whose value does not decode come again, as after any exception;
                ``dead_letter`` makes it a dead letter.

        Raises:
            ConfigError: an argument is wrong.
        """
        return Consumer(
            self,
            group,
            topic,
            Raw() if codec is None else codec,
            filter=filter,
            start=start,
            max_in_flight=max_in_flight,
            max_bytes=max_bytes,
            max_total_bytes=max_total_bytes,
            pull_batch=pull_batch,
            max_processing=max_processing,
            mode=mode,
            ordered=ordered,
            max_attempts=max_attempts,
            on_decode_error=on_decode_error,
        )

    def parts(self) -> Parts:
        """What producers and consumers of this client share; for this package only.

        Raises:
            ClientClosedError: the client is not open.
            ForkedClientError: it was opened in the parent of this process.
            ForeignLoopError: it was opened in another event loop.
        """
        if self._forked is not None:
            raise ForkedClientError(self._forked)
        if self._closed:
            raise ClientClosedError("the client is closed; connect() makes a new one")
        if self._parts is None:
            raise ClientClosedError("the client is not open; use `async with connect(...)`")
        self._check_loop()
        return self._parts

    def _check_loop(self) -> None:
        loops.check(self._loop, f"client {self.client_id}")

    def other_filter(self, group: str, topic: str, tags: TagFilter) -> str | None:
        """A filter other than this one with which a group reads a topic in this process; for this package only."""
        for client in atfork.registered():
            if not isinstance(client, Client) or client._parts is None:
                continue
            # A client that was never closed stays registered until it is collected; without its loop it reads nothing.
            if client._loop is None or client._loop.is_closed():
                continue
            if set(client.nameservers) != set(self.nameservers):
                continue
            found = client._parts.membership.other_filter(group, topic, tags)
            if found is not None:
                return found
        return None

    def attach(self, child: Closable) -> None:
        """Have a producer or consumer closed with the client; for this package only."""
        self._children.append(child)

    def detach(self, child: Closable) -> None:
        """End `attach`; for this package only."""
        if child in self._children:
            self._children.remove(child)


def connect(endpoints: str | None = None, *, timeout: float | timedelta = 3.0) -> Client:
    """Make a client of a cluster, to be opened with ``async with``.

    Args:
        endpoints: NameServers, ``host:port`` separated by ``;``; None takes them from the environment, from
            ``TERNMQ_ENDPOINTS``, else from ``NAMESRV_ADDR``, else those of the cluster that ``ternmq up`` runs in
            ``.ternmq`` here or in a folder above.
        timeout: seconds for one request, and for looking up a route.

    Raises:
        ConfigError: no NameServer, or an argument is wrong.
    """
    return Client(arguments.endpoints(endpoints), arguments.seconds(timeout, "timeout"))
