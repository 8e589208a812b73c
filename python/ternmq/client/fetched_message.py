"""A message as the client's own parts see it: its queue, its record, and how far its delivery is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ternmq import _core
from ternmq.client.process_queue import ProcessQueue

WAITING = 0
DELIVERED = 1
ACKED = 2
FAILED = 3
RELEASED = 4
EXPIRED = 5
BATCHED = 6


class Details(NamedTuple):
    """What a stored record says beside offset and body.

    Args:
        physical_offset: where it begins in the broker's log, in bytes.
        flag: the sender's number, passed on as it is.
        sys_flag: how the body is packed, and more.
        born_ms: when it was made, by the producer's clock.
        stored_ms: when it was stored, by the broker's.
        store_host: the broker that stored it, ``host:port``.
        reconsume_times: how often it has come again.
        properties: all of them, with those of the protocol.
    """

    physical_offset: int
    flag: int
    sys_flag: int
    born_ms: int
    stored_ms: int
    store_host: str
    reconsume_times: int
    properties: dict[str, str]

    @property
    def offset_id(self) -> str:
        """The id by which a broker finds the message: where it is stored."""
        host, _, port = self.store_host.rpartition(":")
        return _core.offset_id(host.strip("[]"), int(port), self.physical_offset)


class DecodedRecords(Protocol):
    """The answer that messages came in; the engine's, or a test's."""

    def details(self, number: int, /) -> tuple[int, int, int, int, int, str, int, dict[str, str]]:
        """Items of `Details` of a record."""


class FetchedMessage:
    """What a consumer's inbox, pullers and failure handler use of a message; no part of the public API.

    `Message` adds what a program uses, and fills the fields: one constructor a message, as a pull makes many.

    Attributes:
        queue_offset: its number in its queue.
        body: the bytes as sent; inflated if they were compressed.
        process_queue: the queue that it was fetched from.
        state: `WAITING`, `DELIVERED` or how its delivery ended; the inbox changes it.
    """

    __slots__ = ("_known", "_number", "_records", "body", "process_queue", "queue_offset", "state")

    queue_offset: int
    body: bytes
    process_queue: ProcessQueue[Any]
    state: int
    _records: DecodedRecords
    _number: int
    _known: Details | None

    @property
    def details(self) -> Details:
        """Decoded when something asks for it: most readers look at the body alone."""
        if self._known is None:
            self._known = Details._make(self._records.details(self._number))
        return self._known

    @property
    def location(self) -> str:
        """Queue and offset, for people."""
        return f"{self.process_queue.queue} offset {self.queue_offset}"
