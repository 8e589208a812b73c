"""Histories survive the way through their files."""

import itertools
from pathlib import Path

import msgspec
import pytest

from ternmq.chaos.history import HistoryWriter, read_history


def test_what_several_writers_wrote_is_read_back_in_the_order_of_time(tmp_path: Path) -> None:
    clock = itertools.count(100)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    with (
        HistoryWriter(first, "p1", clock.__next__) as one,
        HistoryWriter(second, "p2", clock.__next__) as two,
    ):
        written = [
            one.write("invoke", "send", uid="a", topic="t", attempt=1),
            two.write("invoke", "send", uid="b", topic="t", attempt=1),
            one.write("ok", "send", uid="a", topic="t", broker="g", queue=0, queue_offset=0, code=0),
            two.write("ok", "fault", process="kill master 1"),
        ]
    assert read_history([second, first]) == written
    assert [event.process for event in written] == ["p1", "p2", "p1", "kill master 1"]


def test_a_line_is_there_as_soon_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with HistoryWriter(path, "p1", lambda: 1) as writer:
        writer.write("invoke", "send", uid="a")
        assert len(read_history([path])) == 1


def test_a_member_that_no_event_has_is_refused(tmp_path: Path) -> None:
    with (
        HistoryWriter(tmp_path / "one.jsonl", "p1", lambda: 1) as writer,
        pytest.raises(msgspec.ValidationError),
    ):
        writer.write("ok", "send", queue="not a number")
