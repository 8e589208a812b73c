"""Gaps and counts of hand-written histories."""

import msgspec

from ternmq.chaos.figures import counts, longest_gaps
from ternmq.chaos.history import Event


def event(seconds: int, kind: str, operation: str, process: str = "p", **members: object) -> Event:
    return msgspec.convert(
        {"time_ns": seconds * 1_000_000_000, "process": process, "kind": kind, "operation": operation, **members}, Event
    )


HISTORY = [
    event(0, "invoke", "send", uid="a"),
    event(1, "ok", "send", uid="a"),
    event(2, "invoke", "fault", "kill-master 1"),
    event(3, "invoke", "send", uid="b"),
    event(4, "info", "send", uid="b"),
    event(5, "invoke", "send", uid="c"),
    event(6, "ok", "send", uid="c"),
    event(7, "ok", "fault", "kill-master 1"),
    event(8, "invoke", "send", uid="d"),
    event(9, "fail", "send", uid="d"),
    event(10, "invoke", "send", uid="e"),
]


def test_a_gap_belongs_to_the_fault_it_overlaps_else_to_calm() -> None:
    assert longest_gaps(HISTORY) == {"kill-master": 5.0, "calm": 1.0}


def test_a_run_without_any_acknowledgement_is_one_long_gap() -> None:
    assert longest_gaps([each for each in HISTORY if each.kind != "ok"]) == {"calm": 10.0}


def test_a_send_without_an_end_is_unknown() -> None:
    assert counts(HISTORY) == {"ok": 2, "fail": 1, "info": 2}
