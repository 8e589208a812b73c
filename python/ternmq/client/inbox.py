"""Fetched and unsettled messages: in-flight trees per queue, what is ready, what pauses. No socket, no clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from typing import Generic, TypeVar

from ternmq.client.arguments import OnDecodeError
from ternmq.client.codecs import Codec
from ternmq.client.fetched_message import ACKED, BATCHED, DELIVERED, EXPIRED, FAILED, RELEASED, WAITING
from ternmq.client.messages import Failure, Message, redelivered
from ternmq.client.process_queue import ProcessQueue
from ternmq.errors import AlreadySettledError, ForkedClientError, MQError, SettlementLostError

T = TypeVar("T")


class _NothingToAwait:
    """Ends at once and gives no error, as an awaited `fail` does where a message stays with its consumer."""

    def __await__(self) -> Generator[None, None, MQError | None]:
        return None
        yield  # never reached, but it makes this a generator: what `await` wants of an object


NOTHING_TO_AWAIT = _NothingToAwait()


class Inbox(Generic[T]):
    """All of a consumer's fetched messages.

    Each message is waiting, delivered (a user has it), or pausing after a failure. It leaves when it is acknowledged,
    or when its queue is dropped: then a late settlement is refused and the message comes again from the next owner.

    Args:
        max_processing: seconds that a delivered message may take; then it counts as failed.
        clock: monotonic time in seconds.
        codec: of the payloads.
        on_waiting: called when messages have become ready, or will after a pause.
        on_room: called when messages have left.
        on_failed: called with a failed message, which stays in flight until `remove` or `retry`; what it returns ends
            then. Without it a failed message comes again after its pause.
        on_decode_error: what the end of its block makes of a message whose value does not decode.
        on_lost: called with a sentence when a block has ended whose message could not be settled any more.
    """

    def __init__(
        self,
        max_processing: float,
        clock: Callable[[], float],
        codec: Codec[T],
        *,
        on_waiting: Callable[[], None],
        on_room: Callable[[], None],
        on_failed: Callable[[Message[T], Failure], Awaitable[MQError | None]] | None = None,
        on_decode_error: OnDecodeError = "retry",
        on_lost: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.codec = codec
        self.on_decode_error = on_decode_error
        self.on_lost = on_lost
        self.bytes = 0
        self._on_waiting = on_waiting
        self._on_room = on_room
        self._on_failed = on_failed
        self._max_processing = max_processing
        self._clock = clock
        self._ready: deque[Message[T]] = deque()
        self._pausing: list[tuple[float, int, Message[T]]] = []
        self._pause_count = 0
        self._delivered: dict[Message[T], float] = {}  # in order of delivery
        self._forked: str | None = None

    def put(
        self,
        process_queue: ProcessQueue[Message[T]],
        messages: list[Message[T]],
        next_offset: int,
        withheld: Collection[Message[T]] = (),
    ) -> None:
        """Add what one pull fetched; offsets that are in flight already are left out.

        Args:
            process_queue: the queue.
            messages: in order of their offsets, all at or above the queue's next offset.
            next_offset: where the next pull starts.
            withheld: those of the messages that are not delivered, but kept in flight until `discard`.
        """
        if process_queue.dropped:
            return
        if messages and messages[0].queue_offset < process_queue.next_offset:
            messages = [message for message in messages if message.queue_offset >= process_queue.next_offset]
        process_queue.in_flight.update({message.queue_offset: message for message in messages})
        size = sum([len(message.body) for message in messages])
        process_queue.in_flight_bytes += size
        self.bytes += size
        if withheld:
            messages = [message for message in messages if message not in withheld]
        if process_queue.ordered:
            process_queue.line.extend(messages)
            self._advance(process_queue)
        else:
            self._ready.extend(messages)
        process_queue.next_offset = max(process_queue.next_offset, next_offset)
        if messages:
            self._on_waiting()

    def take(self) -> Message[T] | None:
        """Hand out the next message, or None if nothing is ready."""
        now = self.tick()
        while self._ready:
            message = self._ready.popleft()
            process_queue = message.process_queue
            if process_queue.dropped or (
                self._is_withheld(process_queue, now) if process_queue.ordered else process_queue.stopping
            ):
                continue
            message.state = DELIVERED
            self._delivered[message] = now
            return message
        return None

    def take_batch(self, most: int, number: int) -> tuple[list[Message[T]], list[ProcessQueue[Message[T]]]]:
        """Hand out up to so many messages that are settled together, by the batches of their queues.

        They leave at once and make room: how much a reader of batches holds is its own affair.

        Args:
            most: messages.
            number: of the batch; grows from one to the next.

        Returns:
            The messages, and the queues that they come from.
        """
        batch: list[Message[T]] = []
        process_queues: list[ProcessQueue[Message[T]]] = []
        process_queue: ProcessQueue[Message[T]] | None = None
        ready = self._ready
        while ready and len(batch) < most:
            message = ready.popleft()
            if message.process_queue is not process_queue:
                process_queue = message.process_queue
                if not process_queue.dropped and number not in process_queue.batches:
                    process_queue.batches[number] = message.queue_offset
                    process_queues.append(process_queue)
            if process_queue.dropped:
                continue
            message.state = BATCHED
            batch.append(message)
            size = len(message.body)
            del process_queue.in_flight[message.queue_offset]
            process_queue.in_flight_bytes -= size
            self.bytes -= size
        self._on_room()
        return batch, process_queues

    def settle(self, message: Message[T], outcome: int) -> None:
        """End a delivery: acknowledged, failed (comes again) or released (comes again at once).

        Raises:
            SettlementLostError: the queue is gone or the time to process ran out.
            AlreadySettledError: settled before, or never delivered.
        """
        if outcome == FAILED:
            self.fail(message, Failure())
            return
        self._end_delivery(message, outcome)
        if outcome == ACKED:
            self._remove(message.process_queue, message)
        else:
            assert outcome == RELEASED
            self._ready.appendleft(self._replace(message.process_queue, message))
            self._on_waiting()

    def fail(self, message: Message[T], failure: Failure) -> Awaitable[MQError | None]:
        """End a delivery that failed; the message comes again as `failure` says.

        Returns:
            What ends when it is known how the message comes again; then gives why it is not as asked. It need not be
            awaited.

        Raises:
            SettlementLostError: the queue is gone or the time to process ran out.
            AlreadySettledError: settled before, or never delivered.
        """
        self._end_delivery(message, FAILED)
        return self._failed(message, failure)

    def remove(self, message: Message[T]) -> None:
        """Forget a failed message: it comes again from elsewhere."""
        if not message.process_queue.dropped:
            self._remove(message.process_queue, message)

    def discard(self, message: Message[T]) -> None:
        """Forget a message that was never to be delivered."""
        process_queue = message.process_queue
        if process_queue.in_flight.pop(message.queue_offset, None) is not None:
            process_queue.in_flight_bytes -= len(message.body)
            self.bytes -= len(message.body)
            self._on_room()

    def retry(self, message: Message[T], pause: float) -> None:
        """Deliver a failed message again after so many seconds."""
        if not message.process_queue.dropped:
            self._pause(message.process_queue, message, pause)

    def _failed(self, message: Message[T], failure: Failure) -> Awaitable[MQError | None]:
        if self._on_failed is not None:
            return self._on_failed(message, failure)
        self.retry(message, failure.pause)
        return NOTHING_TO_AWAIT

    def check(self, message: Message[T]) -> None:
        """Make sure that a message can still be settled.

        Raises:
            SettlementLostError: the queue is gone or the time to process ran out.
            AlreadySettledError: settled before, or never delivered.
        """
        if self._forked is not None:
            raise ForkedClientError(self._forked)
        process_queue = message.process_queue
        if process_queue.ordered and process_queue.held_until <= self._clock():
            self.drop(process_queue)
        if process_queue.dropped or message.state == EXPIRED:
            raise SettlementLostError(
                f"message {message.id} at {message.location} is no longer held by this consumer; it comes again"
            )
        if message.state == BATCHED:
            raise AlreadySettledError(f"message {message.id} at {message.location} is settled with its batch")
        if message.state != DELIVERED:
            raise AlreadySettledError(f"message {message.id} at {message.location} was settled before")

    def _end_delivery(self, message: Message[T], outcome: int) -> None:
        self.check(message)
        message.state = outcome
        del self._delivered[message]

    def abandon(self, why: str) -> None:
        """Raise `ForkedClientError` with this text at every settlement, in a child process."""
        self._forked = why

    def tick(self) -> float:
        """Make ready what has paused long enough, and fail what takes too long; returns the time."""
        now = self._clock()
        while self._pausing and self._pausing[0][0] <= now:
            message = heapq.heappop(self._pausing)[2]
            if not message.process_queue.dropped:
                self._ready.append(message)
        while self._delivered:
            message, since = next(iter(self._delivered.items()))
            if now - since < self._max_processing:
                break
            del self._delivered[message]
            message.state = EXPIRED
            if not message.process_queue.dropped:
                self._failed(message, Failure())
        return now

    def next_due(self) -> float | None:
        """When `tick` has work next; None if never."""
        times = []
        if self._pausing:
            times.append(self._pausing[0][0])
        if self._delivered:
            times.append(next(iter(self._delivered.values())) + self._max_processing)
        return min(times, default=None)

    def drop(self, process_queue: ProcessQueue[Message[T]]) -> None:
        """Forget a queue: nothing of it is delivered any more and late settlements are refused."""
        process_queue.next_offset = process_queue.watermark  # so that it still says what is settled
        process_queue.dropped = True
        process_queue.line.clear()
        process_queue.batches.clear()
        self.bytes -= process_queue.in_flight_bytes
        process_queue.in_flight_bytes = 0
        for message in process_queue.in_flight.values():
            self._delivered.pop(message, None)
        process_queue.in_flight.clear()
        self._on_room()

    @property
    def ready_count(self) -> int:
        """Messages that `take` may hand out, dropped ones included."""
        return len(self._ready)

    @property
    def delivered_count(self) -> int:
        """Messages that users have and have not settled."""
        return len(self._delivered)

    @property
    def delivered(self) -> Mapping[Message[T], float]:
        """The same, the oldest first, and since when users have them."""
        return self._delivered

    def has_delivered(self, process_queue: ProcessQueue[Message[T]]) -> bool:
        """Whether a program has a message of a queue, or one is on its way back to the broker."""
        if not process_queue.ordered:
            return any(message.state != WAITING for message in process_queue.in_flight.values())
        head = next(iter(process_queue.in_flight.values()), None)
        return head is not None and head.state != WAITING

    def _is_withheld(self, process_queue: ProcessQueue[Message[T]], now: float) -> bool:
        """Whether an ordered queue hands nothing out any more: its lock is lost, or it is being given up."""
        if process_queue.held_until <= now:
            self.drop(process_queue)
        return process_queue.dropped or process_queue.stopping

    def _pause(self, process_queue: ProcessQueue[Message[T]], message: Message[T], pause: float) -> None:
        self._pause_count += 1  # keeps the order of equal times, and messages from being compared
        heapq.heappush(self._pausing, (self._clock() + pause, self._pause_count, self._replace(process_queue, message)))
        self._on_waiting()

    def _replace(self, process_queue: ProcessQueue[Message[T]], message: Message[T]) -> Message[T]:
        again = redelivered(message)
        process_queue.in_flight[message.queue_offset] = again  # under the same key, so that the order stays
        return again

    def _remove(self, process_queue: ProcessQueue[Message[T]], message: Message[T]) -> None:
        del process_queue.in_flight[message.queue_offset]
        size = len(message.body)
        process_queue.in_flight_bytes -= size
        self.bytes -= size
        if process_queue.busy:
            process_queue.busy = False
            if process_queue.line:
                self._advance(process_queue)
                self._on_waiting()
        self._on_room()

    def _advance(self, process_queue: ProcessQueue[Message[T]]) -> None:
        """Make the next message of an ordered queue ready, if none is out."""
        if process_queue.line and not process_queue.busy:
            process_queue.busy = True
            self._ready.append(process_queue.line.popleft())
