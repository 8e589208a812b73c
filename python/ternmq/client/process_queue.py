"""One assigned queue of a consumer, and the messages fetched from it that are not settled. No socket, no clock."""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

from ternmq.client.handover import Handover
from ternmq.client.message_queue import MessageQueue

M = TypeVar("M")

MAX_SPAN = 2000
"""Queue offsets between the oldest unsettled message and the next pull; one stuck message stops the queue there."""


class ProcessQueue(Generic[M]):
    """One assigned queue: where to pull next, and what is fetched but not settled.

    Args:
        queue: the queue.
        next_offset: queue offset to pull first.
        ordered: one message at a time; the next is delivered when it is settled for good.
    """

    __slots__ = (
        "batches", "busy", "dropped", "handover", "held_until", "in_flight", "in_flight_bytes", "line", "next_offset",
        "ordered", "queue", "stopping",
    )  # fmt: skip

    def __init__(self, queue: MessageQueue, next_offset: int, *, ordered: bool = False) -> None:
        self.queue = queue
        self.next_offset = next_offset
        self.in_flight: dict[int, M] = {}  # by queue offset; offsets only grow, so insertion order is sorted
        self.in_flight_bytes = 0
        self.dropped = False
        self.ordered = ordered
        self.held_until = math.inf  # when the lock of an ordered queue counts as lost
        self.line: deque[M] = deque()  # of an ordered queue: what follows the message that is out
        self.busy = False  # an ordered queue's message is ready, delivered, pausing, or on its way back
        self.stopping = False  # no message is handed out any more
        self.handover: Handover | None = None  # another member may have had the queue before
        self.batches: dict[int, int] = {}  # unacknowledged batches: number to first offset, in order

    @property
    def watermark(self) -> int:
        """The offset to commit: the smallest unsettled one, or the next to pull when all are settled."""
        if self.batches:
            return min(self.batches.values())
        return next(iter(self.in_flight), self.next_offset)

    def restarted(self, next_offset: int) -> ProcessQueue[M]:
        """The same queue with nothing fetched, to be read from another offset on."""
        process_queue: ProcessQueue[M] = ProcessQueue(self.queue, next_offset, ordered=self.ordered)
        process_queue.held_until = self.held_until
        process_queue.stopping = self.stopping
        return process_queue

    @property
    def span(self) -> int:
        """Offsets from the smallest unsettled message to the next pull."""
        return self.next_offset - next(iter(self.in_flight), self.next_offset)
