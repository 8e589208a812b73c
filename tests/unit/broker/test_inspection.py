"""Operators' answers are put together from single looks at the engine."""

import pytest

from support.fake_engine import FakeEngine
from ternmq.broker import inspection


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine(lambda *_: None)
    engine.put_topic(0, "T", 3, 2, 6, 0, False, "SINGLE_TAG", {})
    engine.ranges["T"] = [(0, 0, 10, 1700), (1, 6, 6, 0), (2, 4, 5, 1800)]
    return engine


def test_queues_for_reading_and_for_writing_are_shown(engine: FakeEngine) -> None:
    assert inspection.queue_ranges(engine, "T") == [(0, 0, 10), (1, 6, 6), (2, 4, 5)]
    engine.put_topic(0, "T", 1, 4, 6, 0, False, "SINGLE_TAG", {})
    assert inspection.queue_ranges(engine, "T")[3:] == [(3, 0, 0)]
    assert inspection.queue_ranges(engine, "V") == []


def test_only_queues_that_hold_messages_have_a_newest_one(engine: FakeEngine) -> None:
    engine.times["T", 1, 5] = 9999
    ranges = inspection.queue_ranges(engine, "T")
    assert inspection.newest_store_times(engine, "T", ranges) == [1700, 0, 1800]


def test_the_oldest_message_is_looked_for_from_part_to_part_and_not_in_the_whole_log(engine: FakeEngine) -> None:
    assert inspection.oldest_store_time(engine) == -1
    engine.parts = [None, None, 5, 6]
    assert inspection.oldest_store_time(engine) == 5
    engine.parts = [*[None] * 63, 7]
    assert inspection.oldest_store_time(engine) == 7
    engine.parts = [*[None] * 64, 7]
    assert inspection.oldest_store_time(engine) == -1


def test_a_delay_level_that_never_had_a_message_is_left_out(engine: FakeEngine) -> None:
    assert inspection.delay_levels(engine) == []
    engine.delays = {1: (0, 4), 2: (0, 0), 18: (3, 3)}
    assert inspection.delay_levels(engine) == [(1, 0, 4), (18, 3, 3)]


def test_groups_of_a_topic_are_the_connected_ones_and_those_with_offsets_each_once_in_order(engine: FakeEngine) -> None:
    engine.committed = {"z": [("T", 0, 1)], "b": [("U", 0, 1), ("T", 0, 1)], "other": [("U", 0, 1)]}
    for group, topic in (("b", "T"), ("a", "T"), ("x", "U")):
        engine.connected[group] = ("CLUSTERING", "", "", [], [(topic, "*", "TAG", 0)])
    assert inspection.groups_of_topic(engine, "T") == ["a", "b", "z"]
