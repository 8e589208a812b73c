"""Gaps and counts of hand-written histories."""

import msgspec

from ternmq.chaos.figures import Repeats, counts, latest_delayed, longest_gaps, repeats
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


def delivery(seconds: int, uid: str, offset: int, *, by: str = "one", group: str = "g", attempt: int = 1) -> Event:
    return event(
        seconds, "ok", "deliver", by, group=group, uid=uid, topic="t", broker="b", queue=0, queue_offset=offset,
        attempt=attempt,
    )  # fmt: skip


def test_repeated_deliveries_are_counted_by_group_and_cause() -> None:
    history = [
        delivery(1, "a", 0),
        delivery(1, "b", 1),
        delivery(1, "a", 0, group="h"),  # another group's first
        delivery(2, "a", 0, by="two"),
        delivery(3, "b", 1, by="two"),
        delivery(5, "a", 0),
        delivery(6, "b", 7),
        delivery(7, "b", 8, attempt=2),
    ]
    assert repeats(history) == {
        "g, read again by another member": Repeats(2, 2.0),
        "g, read again by the same member": Repeats(1, 4.0),
        "g, stored twice": Repeats(1, 5.0),
        "g, sent back": Repeats(1, 6.0),
    }


def test_a_delayed_message_is_late_by_its_first_delivery() -> None:
    history = [
        event(0, "invoke", "send", uid="a", value=1000),
        event(0, "invoke", "send", uid="b", value=1000),
        event(0, "invoke", "send", uid="c", value=5000),
        event(0, "invoke", "send", uid="d"),
        delivery(2, "a", 0),
        delivery(3, "d", 1),
        delivery(4, "b", 2),
        delivery(8, "a", 0),
        delivery(8, "c", 3),
    ]
    assert latest_delayed(history) == {"1 s": 3.0, "5 s": 3.0}
