"""Fetched and unsettled messages: in-flight trees per queue, what is ready, what pauses. No socket, no clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ternmq.client.messages import ACKED, DELIVERED, EXPIRED, RELEASED, Message, MessageQueue
from ternmq.errors import SettlementLostError

T = TypeVar("T")

RETRY_PAUSE = 1.0
"""Seconds until a failed message comes again from the consumer itself."""
MAX_SPAN = 2000
"""Queue offsets between the oldest unsettled message and the next pull; one stuck message stops the queue there."""


class ProcessQueue(Generic[T]):
    """One assigned queue: where to pull next, and what is fetched but not settled.

    Args:
        queue: the queue.
        next_offset: queue offset to pull first.
    """

    __slots__ = ("dropped", "in_flight", "in_flight_bytes", "next_offset", "queue")

    def __init__(self, queue: MessageQueue, next_offset: int) -> None:
        self.queue = queue
        self.next_offset = next_offset
        self.in_flight: dict[int, Message[T]] = {}  # by queue offset; offsets only grow, so insertion order is sorted
        self.in_flight_bytes = 0
        self.dropped = False

    @property
    def watermark(self) -> int:
        """The offset to commit: the smallest unsettled one, or the next to pull when all are settled."""
        return next(iter(self.in_flight), self.next_offset)

    @property
    def span(self) -> int:
        """Offsets from the smallest unsettled message to the next pull."""
        return self.next_offset - self.watermark


class Inbox(Generic[T]):
    """All of a consumer's fetched messages.

    Each message is waiting, delivered (a user has it), or pausing after a failure. It leaves when it is acknowledged,
    or when its queue is dropped: then a late settlement is refused and the message comes again from the next owner.

    Args:
        max_processing: seconds that a delivered message may take; then it counts as failed.
        clock: monotonic time in seconds.
        on_waiting: called when messages have become ready, or will after a pause.
        on_room: called when messages have left.
    """

    def __init__(
        self,
        max_processing: float,
        clock: Callable[[], float],
        *,
        on_waiting: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        self.bytes = 0
        self._on_waiting = on_waiting
        self._on_room = on_room
        self._max_processing = max_processing
        self._clock = clock
        self._ready: deque[Message[T]] = deque()
        self._pausing: list[tuple[float, int, Message[T]]] = []
        self._pause_count = 0
        self._delivered: dict[Message[T], float] = {}  # in order of delivery

    def put(self, place: ProcessQueue[T], messages: list[Message[T]], next_offset: int) -> None:
        """Add what one pull fetched; offsets that are in flight already are left out.

        Args:
            place: the queue.
            messages: in order of their offsets, all at or above the queue's next offset.
            next_offset: where the next pull starts.
        """
        for message in messages:
            if message.queue_offset < place.next_offset:
                continue
            place.in_flight[message.queue_offset] = message
            size = len(message.body)
            place.in_flight_bytes += size
            self.bytes += size
            self._ready.append(message)
        place.next_offset = max(place.next_offset, next_offset)
        if messages:
            self._on_waiting()

    def take(self) -> Message[T] | None:
        """Hand out the next message, or None if nothing is ready."""
        now = self.tick()
        while self._ready:
            message = self._ready.popleft()
            if message._place.dropped:
                continue
            message._state = DELIVERED
            self._delivered[message] = now
            return message
        return None

    def settle(self, message: Message[T], outcome: int) -> None:
        """End a delivery: acknowledged, failed (comes again after a pause) or released (comes again at once).

        Raises:
            SettlementLostError: the queue is gone or the time to process ran out.
            RuntimeError: settled before, or never delivered.
        """
        place = message._place
        if place.dropped or message._state == EXPIRED:
            raise SettlementLostError(
                f"message {message.id} at {message._where()} is no longer held by this consumer; it comes again"
            )
        if message._state != DELIVERED:
            raise RuntimeError(f"message {message.id} at {message._where()} was settled before")
        message._state = outcome
        del self._delivered[message]
        if outcome == ACKED:
            self._remove(place, message)
        elif outcome == RELEASED:
            self._ready.appendleft(self._replace(place, message))
            self._on_waiting()
        else:
            self._pause(place, message)

    def tick(self) -> float:
        """Make ready what has paused long enough, and fail what takes too long; returns the time."""
        now = self._clock()
        while self._pausing and self._pausing[0][0] <= now:
            message = heapq.heappop(self._pausing)[2]
            if not message._place.dropped:
                self._ready.append(message)
        while self._delivered:
            message, since = next(iter(self._delivered.items()))
            if now - since < self._max_processing:
                break
            del self._delivered[message]
            message._state = EXPIRED
            if not message._place.dropped:
                self._pause(message._place, message)
        return now

    def next_due(self) -> float | None:
        """When `tick` has work next; None if never."""
        times = []
        if self._pausing:
            times.append(self._pausing[0][0])
        if self._delivered:
            times.append(next(iter(self._delivered.values())) + self._max_processing)
        return min(times, default=None)

    def drop(self, place: ProcessQueue[T]) -> None:
        """Forget a queue: nothing of it is delivered any more and late settlements are refused."""
        place.dropped = True
        self.bytes -= place.in_flight_bytes
        place.in_flight_bytes = 0
        for message in place.in_flight.values():
            self._delivered.pop(message, None)
        place.in_flight.clear()
        self._on_room()

    @property
    def ready_count(self) -> int:
        """Messages that `take` may hand out, dropped ones included."""
        return len(self._ready)

    @property
    def delivered_count(self) -> int:
        """Messages that users have and have not settled."""
        return len(self._delivered)

    def _pause(self, place: ProcessQueue[T], message: Message[T]) -> None:
        self._pause_count += 1  # keeps the order of equal times, and messages from being compared
        heapq.heappush(self._pausing, (self._clock() + RETRY_PAUSE, self._pause_count, self._replace(place, message)))
        self._on_waiting()

    def _replace(self, place: ProcessQueue[T], message: Message[T]) -> Message[T]:
        again = message._again()
        place.in_flight[message.queue_offset] = again  # keeps its place in the order
        return again

    def _remove(self, place: ProcessQueue[T], message: Message[T]) -> None:
        del place.in_flight[message.queue_offset]
        size = len(message.body)
        place.in_flight_bytes -= size
        self.bytes -= size
        self._on_room()
