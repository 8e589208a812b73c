"""Settlement and watermark, with a clock in the test's hand."""

from dataclasses import dataclass, field

import pytest

from support.memory.records import plain_messages
from ternmq.client.codecs import Raw
from ternmq.client.fetched_message import ACKED, FAILED, RELEASED
from ternmq.client.inbox import Inbox
from ternmq.client.message_queue import MessageQueue
from ternmq.client.messages import RETRY_PAUSE, Message
from ternmq.client.process_queue import ProcessQueue
from ternmq.errors import SettlementLostError

QUEUE = MessageQueue("t", "a", 0)


@dataclass
class Bench:
    """An inbox, one queue, a clock, and how often the owner was called."""

    now: float = 100.0
    woken: int = 0
    room: int = 0
    process_queue: ProcessQueue[Message[bytes]] = field(default_factory=lambda: ProcessQueue(QUEUE, 10))

    def __post_init__(self) -> None:
        self.inbox: Inbox[bytes] = Inbox(60.0, lambda: self.now, Raw(), on_waiting=self._wake, on_room=self._free)

    def _wake(self) -> None:
        self.woken += 1

    def _free(self) -> None:
        self.room += 1

    def fetch(self, *offsets: int, size: int = 1) -> None:
        messages = plain_messages(self.process_queue, self.inbox, offsets, b"x" * size)
        self.inbox.put(self.process_queue, messages, offsets[-1] + 1)

    def take(self) -> Message[bytes]:
        message = self.inbox.take()
        assert message is not None
        return message


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_watermark_is_the_smallest_unsettled_offset(bench: Bench) -> None:
    bench.fetch(10, 11, 12)
    first, second, third = bench.take(), bench.take(), bench.take()
    assert bench.process_queue.watermark == 10
    bench.inbox.settle(second, ACKED)
    assert bench.process_queue.watermark == 10
    bench.inbox.settle(first, ACKED)
    assert bench.process_queue.watermark == 12
    bench.inbox.settle(third, ACKED)
    assert bench.process_queue.watermark == 13


def test_filtered_offsets_count_as_settled(bench: Bench) -> None:
    bench.inbox.put(bench.process_queue, [], 40)
    assert bench.process_queue.watermark == 40


def test_one_stuck_message_shows_in_the_span(bench: Bench) -> None:
    bench.fetch(10, 11)
    bench.take()
    bench.inbox.settle(bench.take(), ACKED)
    bench.inbox.put(bench.process_queue, [], 2010)
    assert bench.process_queue.span == 2000


def test_bytes_follow_what_is_in_flight(bench: Bench) -> None:
    bench.fetch(10, 11, size=50)
    assert (bench.inbox.bytes, bench.process_queue.in_flight_bytes) == (100, 100)
    bench.inbox.settle(bench.take(), ACKED)
    assert (bench.inbox.bytes, bench.process_queue.in_flight_bytes, bench.room) == (50, 50, 1)


def test_a_failed_message_comes_again_after_a_pause_and_holds_the_watermark(bench: Bench) -> None:
    bench.fetch(10, 11)
    bench.inbox.settle(bench.take(), FAILED)
    bench.inbox.settle(bench.take(), ACKED)
    assert bench.inbox.take() is None
    assert bench.process_queue.watermark == 10
    assert bench.inbox.next_due() == bench.now + RETRY_PAUSE
    bench.now += RETRY_PAUSE - 0.01
    assert bench.inbox.take() is None
    bench.now += 0.01
    again = bench.take()
    assert (again.id, again.attempt, again.body) == ("m10", 2, b"x")
    bench.inbox.settle(again, ACKED)
    assert bench.process_queue.watermark == 12


def test_a_released_message_comes_again_at_once_and_first(bench: Bench) -> None:
    bench.fetch(10, 11)
    bench.inbox.settle(bench.take(), RELEASED)
    assert [bench.take().queue_offset, bench.take().queue_offset] == [10, 11]


def test_settling_twice_is_an_error(bench: Bench) -> None:
    bench.fetch(10)
    message = bench.take()
    bench.inbox.settle(message, FAILED)
    with pytest.raises(RuntimeError, match="settled before"):
        bench.inbox.settle(message, ACKED)
    bench.now += RETRY_PAUSE
    again = bench.take()
    bench.inbox.settle(again, ACKED)
    with pytest.raises(RuntimeError, match="settled before"):
        bench.inbox.settle(again, ACKED)
    assert bench.process_queue.watermark == 11


def test_nothing_of_a_dropped_queue_is_delivered_or_settled(bench: Bench) -> None:
    bench.fetch(10, 11, 12)
    held = bench.take()
    failed = bench.take()
    bench.inbox.settle(failed, FAILED)
    bench.inbox.drop(bench.process_queue)
    assert (bench.inbox.bytes, bench.process_queue.in_flight) == (0, {})
    with pytest.raises(SettlementLostError):
        bench.inbox.settle(held, ACKED)
    bench.now += 120
    assert bench.inbox.take() is None
    assert bench.inbox.next_due() is None


def test_a_message_that_takes_too_long_counts_as_failed(bench: Bench) -> None:
    bench.fetch(10)
    slow = bench.take()
    assert bench.inbox.next_due() == bench.now + 60
    bench.now += 60
    bench.inbox.tick()
    with pytest.raises(SettlementLostError):
        bench.inbox.settle(slow, ACKED)
    bench.now += RETRY_PAUSE
    assert bench.take().attempt == 2


def test_what_was_fetched_before_is_not_fetched_twice(bench: Bench) -> None:
    bench.fetch(10, 11)
    bench.fetch(11, 12)
    assert [bench.take().queue_offset for _ in range(3)] == [10, 11, 12]
    assert bench.inbox.take() is None


def test_readers_are_woken_for_new_failed_and_released_messages(bench: Bench) -> None:
    bench.fetch(10)
    assert bench.woken == 1
    bench.inbox.settle(bench.take(), RELEASED)
    assert bench.woken == 2
    bench.inbox.settle(bench.take(), FAILED)
    assert bench.woken == 3


def test_a_dropped_queue_still_says_what_is_settled(bench: Bench) -> None:
    bench.fetch(10, 11, 12)
    bench.inbox.settle(bench.take(), ACKED)
    bench.inbox.drop(bench.process_queue)
    assert bench.process_queue.watermark == 11


def test_nothing_is_put_into_a_dropped_queue(bench: Bench) -> None:
    bench.inbox.drop(bench.process_queue)
    bench.fetch(10, 11)
    assert (bench.inbox.bytes, bench.inbox.ready_count) == (0, 0)


def test_an_ordered_queue_gives_and_settles_nothing_once_its_lock_has_run_out(bench: Bench) -> None:
    bench.process_queue = ProcessQueue(QUEUE, 10, ordered=True)
    bench.process_queue.held_until = bench.now + 30
    bench.fetch(10, 11, 12)
    bench.inbox.settle(bench.take(), ACKED)
    late = bench.take()
    bench.now += 30
    with pytest.raises(SettlementLostError):
        bench.inbox.settle(late, ACKED)
    assert bench.inbox.take() is None
    other: ProcessQueue[Message[bytes]] = ProcessQueue(QUEUE, 10, ordered=True)
    bench.process_queue = other
    bench.process_queue.held_until = bench.now + 30
    bench.fetch(10)
    bench.now += 30
    assert bench.inbox.take() is None
    assert other.dropped


def test_the_watermark_of_batches_is_that_of_the_oldest_one(bench: Bench) -> None:
    bench.fetch(10, 11, 12, 13)
    for number in (1, 2, 3):
        messages, process_queues = bench.inbox.take_batch(1, number)
        assert (len(messages), process_queues) == (1, [bench.process_queue])
    del bench.process_queue.batches[1]
    assert bench.process_queue.watermark == 11
    del bench.process_queue.batches[3]
    assert bench.process_queue.watermark == 11
    del bench.process_queue.batches[2]
    assert bench.process_queue.watermark == 13
    assert (bench.inbox.bytes, bench.room) == (1, 3)
