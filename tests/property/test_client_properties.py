"""What always holds for allocation, sharding and settlement."""

import math

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.memory.records import plain_messages
from ternmq import _core
from ternmq.client.allocation import allocate_average
from ternmq.client.arguments import user_properties
from ternmq.client.codecs import Raw
from ternmq.client.fetched_message import ACKED, FAILED, RELEASED
from ternmq.client.inbox import Inbox
from ternmq.client.message_queue import MessageQueue
from ternmq.client.messages import RETRY_PAUSE, Message
from ternmq.client.process_queue import ProcessQueue
from ternmq.client.sharding import java_string_hash, jump_hash


@given(st.integers(0, 200), st.integers(1, 40))
def test_an_allocation_gives_every_queue_to_one_member_and_nearly_equal_shares(queues: int, members: int) -> None:
    names = [f"c{number:03}" for number in range(members)]
    shares = [allocate_average(range(queues), names, name) for name in names]
    assert [queue for share in shares for queue in share] == list(range(queues))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(1, 300))
def test_one_more_bucket_moves_a_key_only_there(key: int, buckets: int) -> None:
    before, after = jump_hash(key, buckets), jump_hash(key, buckets + 1)
    assert 0 <= before < buckets
    assert after in (before, buckets)


def test_jump_hash_spreads_keys_evenly() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[jump_hash(java_string_hash(f"order-{number}"), 8)] += 1
    assert all(math.isclose(count, 1000, rel_tol=0.15) for count in counts)


@given(st.text())
def test_the_hash_of_a_string_is_the_engines(text: str) -> None:
    assert java_string_hash(text) == _core.java_hash(text)


_words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\x01\x02"), min_size=1)


@given(st.dictionaries(_words.map(lambda name: f"x{name}"), _words))
def test_properties_are_written_as_the_engine_writes_them(properties: dict[str, str]) -> None:
    assert user_properties(properties) == _core.encode_properties(properties)


class SettlementMachine(RuleBasedStateMachine):
    """Any order of fetching, delivering, settling and waiting: nothing is forgotten, nothing committed too early."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.process_queue: ProcessQueue[Message[bytes]] = ProcessQueue(MessageQueue("t", "a", 0), 0)
        self.inbox: Inbox[bytes] = Inbox(1e9, lambda: self.now, Raw(), on_waiting=lambda: None, on_room=lambda: None)
        self.held: list[Message[bytes]] = []
        self.unsettled: set[int] = set()
        self.fetched = 0
        self.committed = 0

    @rule(count=st.integers(1, 5), gap=st.integers(0, 2))
    def fetch(self, count: int, gap: int) -> None:
        offsets = range(self.fetched + gap, self.fetched + gap + count)
        messages = plain_messages(self.process_queue, self.inbox, offsets, b"12")
        self.inbox.put(self.process_queue, messages, offsets.stop)
        self.unsettled.update(offsets)
        self.fetched = offsets.stop

    @rule()
    def deliver(self) -> None:
        message = self.inbox.take()
        if message is not None:
            assert message.queue_offset in self.unsettled
            assert all(message.queue_offset != other.queue_offset for other in self.held)
            self.held.append(message)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from([ACKED, FAILED, RELEASED]))
    def settle(self, data: st.DataObject, outcome: int) -> None:
        message = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.inbox.settle(message, outcome)
        if outcome == ACKED:
            self.unsettled.discard(message.queue_offset)

    @rule(seconds=st.floats(0.01, 1.5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_watermark_is_the_smallest_unsettled_offset_and_never_goes_back(self) -> None:
        watermark = self.process_queue.watermark
        assert watermark == min(self.unsettled, default=self.fetched)
        assert watermark >= self.committed
        self.committed = watermark

    @invariant()
    def bytes_are_those_of_the_unsettled(self) -> None:
        assert self.inbox.bytes == self.process_queue.in_flight_bytes == 2 * len(self.unsettled)

    def teardown(self) -> None:
        for message in self.held:
            self.inbox.settle(message, RELEASED)
        self.now += RETRY_PAUSE
        seen = set()
        while (rest := self.inbox.take()) is not None:
            seen.add(rest.queue_offset)
        assert seen == self.unsettled


TestSettlement = SettlementMachine.TestCase


class OrderedMachine(RuleBasedStateMachine):
    """Any order of fetching and settling: a queue has one message out, and settles its offsets in order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.process_queues: list[ProcessQueue[Message[bytes]]] = [
            ProcessQueue(MessageQueue("t", "a", number), 0, ordered=True) for number in range(2)
        ]
        self.inbox: Inbox[bytes] = Inbox(1e9, lambda: self.now, Raw(), on_waiting=lambda: None, on_room=lambda: None)
        self.held: dict[int, Message[bytes]] = {}
        self.settled = [0, 0]

    @rule(number=st.integers(0, 1), count=st.integers(1, 5))
    def fetch(self, number: int, count: int) -> None:
        process_queue = self.process_queues[number]
        offsets = range(process_queue.next_offset, process_queue.next_offset + count)
        messages = plain_messages(process_queue, self.inbox, offsets, b"1")
        self.inbox.put(process_queue, messages, offsets.stop)

    @rule()
    def deliver(self) -> None:
        message = self.inbox.take()
        if message is not None:
            assert message.queue.id not in self.held
            assert message.queue_offset == self.settled[message.queue.id]
            self.held[message.queue.id] = message

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from([ACKED, FAILED, RELEASED]))
    def settle(self, data: st.DataObject, outcome: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.inbox.settle(self.held.pop(number), outcome)
        self.settled[number] += outcome == ACKED

    @rule(seconds=st.floats(0.01, 1.5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_watermark_is_what_is_settled(self) -> None:
        assert [process_queue.watermark for process_queue in self.process_queues] == self.settled

    def teardown(self) -> None:
        for message in self.held.values():
            self.inbox.settle(message, ACKED)
        self.now += RETRY_PAUSE
        while (rest := self.inbox.take()) is not None:
            self.inbox.settle(rest, ACKED)
        assert all(process_queue.watermark == process_queue.next_offset for process_queue in self.process_queues)


TestOrderedSettlement = OrderedMachine.TestCase
