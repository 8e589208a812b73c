"""The checker of the demo: histories written by hand, each with one lie."""

import pytest

from ternmq.cluster.demo.verify import Delivery, QueuePosition, SendRecord, check

Q0, Q1 = "group-a:0", "group-b:0"


@pytest.fixture
def record() -> SendRecord:
    """Two keys with three messages each, all acknowledged, and one send without an answer."""
    record = SendRecord()
    for key, queue in (("k1", Q0), ("k2", Q1)):
        for sequence in range(3):
            record.sending(key, sequence, _body(key, sequence))
            record.acknowledge(key, sequence, QueuePosition(queue, 10 + sequence))
    record.sending("k1", 3, _body("k1", 3))
    return record


@pytest.fixture
def deliveries() -> list[Delivery]:
    """Everything that was acknowledged, in order, once."""
    return [_delivery(key, queue, sequence) for sequence in range(3) for key, queue in (("k1", Q0), ("k2", Q1))]


def _body(key: str, sequence: int) -> bytes:
    return f"{key}/{sequence}".encode()


def _delivery(key: str, queue: str, sequence: int, queue_offset: int | None = None) -> Delivery:
    position = QueuePosition(queue, 10 + sequence if queue_offset is None else queue_offset)
    return Delivery(key, sequence, _body(key, sequence), position)


def test_an_honest_history_passes(record: SendRecord, deliveries: list[Delivery]) -> None:
    verdict = check(record, deliveries)
    assert verdict.is_clean
    assert verdict.order_held
    assert str(verdict) == "acknowledged 6 · delivered 6 · lost 0 · duplicates 0"


def test_what_a_mode_may_lose_is_counted_apart_and_nothing_else_is_excused(
    record: SendRecord, deliveries: list[Delivery]
) -> None:
    kept = [one for one in deliveries if one.sequence != 2]
    verdict = check(record, kept, allowed={("k2", 2), ("k2", 1)})
    assert verdict.lost == ["k1#2 was acknowledged and never delivered"]
    assert (verdict.lost_as_allowed, verdict.delivered) == (1, 4)


def test_order_is_not_asked_for_where_it_was_not_promised(record: SendRecord, deliveries: list[Delivery]) -> None:
    deliveries[0], deliveries[2] = deliveries[2], deliveries[0]
    assert not check(record, deliveries).is_clean
    assert check(record, deliveries, ordered=False).is_clean


def test_a_lost_message_is_caught(record: SendRecord, deliveries: list[Delivery]) -> None:
    verdict = check(record, [one for one in deliveries if (one.key, one.sequence) != ("k2", 2)])
    assert verdict.lost == ["k2#2 was acknowledged and never delivered"]
    assert str(verdict) == "acknowledged 6 · delivered 5 · lost 1 · duplicates 0"
    assert not verdict.is_clean
    assert verdict.order_held


def test_nothing_delivered_at_all_is_caught(record: SendRecord) -> None:
    assert len(check(record, []).lost) == 6


def test_an_altered_body_is_caught_and_does_not_count_as_delivered(
    record: SendRecord, deliveries: list[Delivery]
) -> None:
    deliveries[0] = Delivery("k1", 0, b"k1/0 ", QueuePosition(Q0, 10))
    verdict = check(record, deliveries)
    assert verdict.altered == ["k1#0 was delivered with another body"]
    assert len(verdict.lost) == 1
    assert not verdict.is_clean


def test_a_swapped_pair_within_a_key_is_caught(record: SendRecord, deliveries: list[Delivery]) -> None:
    deliveries[0], deliveries[2] = deliveries[2], deliveries[0]
    verdict = check(record, deliveries)
    assert verdict.reordered == ["k1#0 came after k1#1"]
    assert not verdict.order_held
    assert not verdict.is_clean
    assert not verdict.lost


def test_keys_may_interleave_in_any_way(record: SendRecord, deliveries: list[Delivery]) -> None:
    assert check(record, sorted(deliveries, key=lambda one: one.key, reverse=True)).is_clean


def test_a_phantom_is_caught(record: SendRecord, deliveries: list[Delivery]) -> None:
    verdict = check(record, [*deliveries, _delivery("k1", Q0, 9)])
    assert verdict.phantoms == ["k1#9 was delivered, and nobody sent it"]
    assert not verdict.is_clean


def test_a_second_delivery_is_a_duplicate_and_no_breach(record: SendRecord, deliveries: list[Delivery]) -> None:
    verdict = check(record, [*deliveries, deliveries[0], deliveries[0]])
    assert verdict.duplicates == 2
    assert verdict.delivered == 6
    assert verdict.is_clean


def test_a_copy_stored_by_a_retry_is_a_duplicate(record: SendRecord, deliveries: list[Delivery]) -> None:
    deliveries.insert(0, _delivery("k1", Q0, 0, queue_offset=9))
    verdict = check(record, deliveries)
    assert verdict.duplicates == 1
    assert verdict.is_clean


def test_a_message_elsewhere_than_its_receipt_says_is_caught(record: SendRecord, deliveries: list[Delivery]) -> None:
    deliveries[0] = _delivery("k1", Q0, 0, queue_offset=11)
    verdict = check(record, deliveries)
    assert verdict.misplaced == ["k1#0 was acknowledged at 10 of group-a:0 and delivered from elsewhere"]
    assert not verdict.is_clean


def test_a_send_without_answer_may_be_delivered_or_not(record: SendRecord, deliveries: list[Delivery]) -> None:
    verdict = check(record, [*deliveries, _delivery("k1", Q0, 3)])
    assert verdict.is_clean
    assert verdict.unacknowledged == 1
    assert verdict.delivered == 6
