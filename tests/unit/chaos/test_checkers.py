"""Every check is shown to fail: a good history, and the same history with one lie in it.

A lie must be found by the check of the invariant that it breaks and by no other, so that a failing run names the
promise that was broken.
"""

from collections.abc import Callable

import msgspec
import pytest

from ternmq.chaos.check import CHECKS, check_all
from ternmq.chaos.history import Event

SECOND = 1_000_000_000
History = list[Event]
PLACE = {"topic": "orders", "broker": "group-a", "queue": 0}


def event(at: float, process: str, kind: str, operation: str, **members: object) -> Event:
    return msgspec.convert(
        {"time_ns": int(at * SECOND), "process": process, "kind": kind, "operation": operation, **members}, Event
    )


def record(at: float, operation: str, offset: int, uid: str, **members: object) -> Event:
    """Somebody sees a record: its digest is that of its uid, its message id that of its place."""
    seen = {**PLACE, "queue_offset": offset, "uid": uid, "digest": f"sum-{uid}", **members}
    return event(at, "reader", "ok", operation, **seen)


def good_history() -> History:
    """Sends of any end, one of them held back, a fault, repeated deliveries after it, samples, the final read."""
    return [
        event(1.0, "maker", "invoke", "create_topic", topic="orders", broker="group-a", value=1),
        event(1.1, "maker", "ok", "create_topic", topic="orders", broker="group-a", value=1, code=0),
        event(1.2, "group", "ok", "subscribe", group="readers", topic="orders"),
        event(1.3, "crowd", "ok", "subscribe", group="crowd", topic="orders", side_by_side=True),
        *held_back(1.4, "d0", 3000),
        *send(2.0, "m0", 0, "ok", 0),
        *send(2.2, "m1", 1, "ok", 1),
        event(2.4, "sampler", "ok", "max_offset", **PLACE, queue_offset=2),
        record(2.5, "deliver", 0, "m0", group="readers", attempt=1),
        record(2.6, "read", 1, "m1"),
        event(2.7, "committer", "ok", "commit_offset", **PLACE, group="readers", queue_offset=1),
        event(3.0, "kill master 1", "invoke", "fault"),
        *send(3.1, "m2", 2, "info", None),
        *send(3.3, "m3", 3, "fail", None),
        event(4.0, "kill master 1", "ok", "fault"),
        record(4.1, "deliver", 0, "m0", group="readers", attempt=2),
        record(4.2, "deliver", 1, "m1", group="readers", attempt=1),
        event(4.3, "sampler", "ok", "consumer_offset", **PLACE, group="readers", queue_offset=1),
        *send(4.4, "m4", 4, "ok", 3),
        record(4.6, "deliver", 2, "m2", group="readers", attempt=1),
        record(4.7, "deliver", 3, "m4", group="readers", attempt=1),
        record(4.71, "deliver", 4, "d0", group="readers", attempt=1),
        # Whoever handles messages side by side promises no order.
        *[
            record(4.72 + at / 100, "deliver", offset, uid, group="crowd", attempt=1)
            for at, (offset, uid) in enumerate([(1, "m1"), (0, "m0"), (4, "d0"), (3, "m4"), (2, "m2")])
        ],
        event(4.8, "sampler", "ok", "max_offset", **PLACE, queue_offset=5),
        event(14.9, "sampler", "ok", "topic_queues", topic="orders", broker="group-a", value=1),
        event(200.0, "drain", "ok", "drain_bounds", **PLACE, queue_offset=0, value=5),
        *[
            record(200.1 + offset, "drain", offset, uid, message_id=f"id-{offset}")
            for offset, uid in enumerate(["m0", "m1", "m2", "m4", "d0"])
        ],
    ]


def held_back(at: float, uid: str, delay_ms: int) -> History:
    """An acknowledged send of a message that is held back, so that its acknowledgement names no place."""
    invoke, outcome = send(at, uid, 0, "ok", None)
    return [msgspec.structs.replace(invoke, key="late", value=delay_ms), outcome]


def send(at: float, uid: str, sequence: int, kind: str, offset: int | None) -> History:
    outcome: dict[str, object] = {"uid": uid, "code": {"ok": 0, "fail": 14, "info": None}[kind]}
    if offset is not None:
        outcome |= {**PLACE, "queue_offset": offset, "message_id": f"id-{offset}"}
    return [
        event(at, "producer", "invoke", "send", uid=uid, topic="orders", key="k", sequence=sequence,
              digest=f"sum-{uid}", attempt=1),
        event(at + 0.1, "producer", kind, "send", **outcome),
    ]  # fmt: skip


def changed(history: History, matching: Callable[[Event], bool], **members: object) -> History:
    """The history with some members of the matching events changed; exactly as many events as before."""
    assert any(map(matching, history)), "the lie must touch something"
    return [msgspec.structs.replace(each, **members) if matching(each) else each for each in history]


def an_acknowledged_message_is_nowhere(history: History) -> History:
    return [*history, *send(5.0, "m5", 5, "ok", 5)]


def a_message_is_read_that_nobody_sent(history: History) -> History:
    history = changed(history, lambda each: each.uid == "m2" and each.operation != "send", uid="x", digest="sum-x")
    return [each for each in history if not (each.operation == "send" and each.uid == "m2")]


def a_message_is_read_that_was_refused(history: History) -> History:
    return changed(history, lambda each: each.uid == "m2" and each.kind == "info", kind="fail", code=14)


def a_message_has_other_bytes_than_were_sent(history: History) -> History:
    return changed(history, lambda each: each.uid == "m2" and each.operation != "send", digest="sum-y")


def a_message_sent_once_is_stored_twice(history: History) -> History:
    history = changed(history, lambda each: each.operation == "drain_bounds", value=6)
    return [*history, record(210, "drain", 5, "m4", message_id="id-5")]


def an_acknowledgement_names_another_offset(history: History) -> History:
    # The two acknowledgements name each other's place; what is stored is right.
    history = changed(history, lambda each: each.uid == "m0" and each.kind == "ok" and each.operation == "send",
                      queue_offset=1, message_id="id-1")  # fmt: skip
    return changed(history, lambda each: each.uid == "m1" and each.kind == "ok" and each.operation == "send",
                   queue_offset=0, message_id="id-0")  # fmt: skip


def an_acknowledgement_names_another_id(history: History) -> History:
    return changed(
        history, lambda each: each.uid == "m1" and each.kind == "ok" and each.operation == "send", message_id="id-9"
    )


def a_queue_has_a_hole(history: History) -> History:
    return [each for each in history if each.uid != "m2" or each.operation == "send"]


def a_queue_gives_one_offset_twice(history: History) -> History:
    return [*history, record(210, "drain", 2, "m2", message_id="id-2")]


def what_was_read_is_another_message_later(history: History) -> History:
    history = [*history[:8], *send(2.61, "m9", 9, "info", None), *history[8:]]
    return sorted([*history, record(3.9, "read", 2, "m9")], key=lambda each: each.time_ns)


def what_was_read_is_gone_later(history: History) -> History:
    history = [*history[:8], *send(2.61, "m9", 9, "info", None), *history[8:]]
    return sorted([*history, record(3.9, "read", 4, "m9")], key=lambda each: each.time_ns)


def a_queue_ends_earlier_than_it_did(history: History) -> History:
    return changed(history, lambda each: each.operation == "max_offset" and each.queue_offset == 2, queue_offset=6)


def two_sends_change_places(history: History) -> History:
    # Stored and acknowledged in the other order than they were sent, and nobody had seen them before.
    order = {"m0": 1, "m1": 0}
    history = [each for each in history if each.operation not in {"read", "deliver", "subscribe"}]
    return [
        msgspec.structs.replace(each, queue_offset=order[each.uid], message_id=f"id-{order[each.uid]}")
        if each.uid in order and (each.operation == "drain" or (each.operation == "send" and each.kind == "ok"))
        else each
        for each in history
    ]


def a_group_sees_a_later_message_first(history: History) -> History:
    history = changed(
        history,
        lambda each: each.uid == "m2" and each.operation == "deliver" and each.group == "readers",
        time_ns=48 * SECOND // 10,
    )
    return sorted(history, key=lambda each: each.time_ns)


def a_message_never_reaches_the_group(history: History) -> History:
    return [each for each in history if each.operation != "deliver" or each.uid != "m1" or each.group != "readers"]


def a_message_that_was_held_back_never_comes(history: History) -> History:
    return [each for each in history if each.operation != "deliver" or each.uid != "d0"]


def a_message_that_was_held_back_is_put_twice(history: History) -> History:
    history = changed(history, lambda each: each.operation == "drain_bounds", value=6)
    return [*history, record(210, "drain", 5, "d0", message_id="id-5")]


def a_message_that_was_held_back_is_lost_when_it_is_due(history: History) -> History:
    history = changed(history, lambda each: each.operation == "drain_bounds", value=4)
    history = changed(history, lambda each: each.operation == "max_offset" and each.queue_offset == 5, queue_offset=4)
    return [each for each in history if each.uid != "d0" or each.operation == "send"]


def a_message_is_delivered_before_its_time(history: History) -> History:
    return changed(history, lambda each: each.uid == "d0" and each.kind == "invoke", value=3350)


def a_message_is_read_before_its_time(history: History) -> History:
    early = record(2.3, "read", 4, "d0")
    return sorted([*history, early], key=lambda each: each.time_ns)


def a_message_comes_twice_and_nothing_had_failed(history: History) -> History:
    again = record(150, "deliver", 3, "m4", group="readers", attempt=2)
    return sorted([*history, again], key=lambda each: each.time_ns)


def an_offset_falls_below_what_was_acknowledged(history: History) -> History:
    return changed(history, lambda each: each.operation == "consumer_offset", queue_offset=0)


def an_offset_passes_the_end_of_the_queue(history: History) -> History:
    return changed(history, lambda each: each.operation == "consumer_offset", queue_offset=6)


def a_topic_is_forgotten(history: History) -> History:
    return changed(history, lambda each: each.operation == "topic_queues", value=0)


def a_topic_is_never_looked_for(history: History) -> History:
    return [each for each in history if each.operation != "topic_queues"]


LIES: dict[str, list[Callable[[History], History]]] = {
    "I1": [an_acknowledged_message_is_nowhere, a_message_that_was_held_back_is_lost_when_it_is_due],
    "I2": [
        a_message_is_read_that_nobody_sent,
        a_message_is_read_that_was_refused,
        a_message_has_other_bytes_than_were_sent,
        a_message_sent_once_is_stored_twice,
        a_message_that_was_held_back_is_put_twice,
    ],
    "I3": [an_acknowledgement_names_another_offset, an_acknowledgement_names_another_id],
    "I4": [a_queue_has_a_hole, a_queue_gives_one_offset_twice],
    "I5": [what_was_read_is_another_message_later, what_was_read_is_gone_later],
    "I7": [a_queue_ends_earlier_than_it_did],
    "I10": [two_sends_change_places, a_group_sees_a_later_message_first],
    "I11": [a_message_never_reaches_the_group, a_message_that_was_held_back_never_comes],
    "I12": [a_message_comes_twice_and_nothing_had_failed],
    "I13": [an_offset_falls_below_what_was_acknowledged, an_offset_passes_the_end_of_the_queue],
    "I15": [a_message_is_delivered_before_its_time, a_message_is_read_before_its_time],
    "I19": [a_topic_is_forgotten, a_topic_is_never_looked_for],
}


def test_a_good_history_passes_every_check_and_gives_each_something_to_look_at() -> None:
    reports = check_all(good_history())
    assert {name: report.violations for name, report in reports.items() if not report.holds} == {}
    assert [name for name, report in reports.items() if report.looked_at == 0] == []
    assert reports["I12 bounded duplicates"].counted == 1


def test_there_is_a_lie_for_every_check() -> None:
    assert sorted(LIES) == sorted(name.split()[0] for name in CHECKS)


@pytest.mark.parametrize(
    ("invariant", "lie"),
    [
        pytest.param(invariant, lie, id=f"{invariant}-{lie.__name__}")
        for invariant, lies in LIES.items()
        for lie in lies
    ],
)
def test_a_history_with_one_lie_fails_the_check_that_it_breaks_and_no_other(
    invariant: str, lie: Callable[[History], History]
) -> None:
    reports = check_all(lie(good_history()))
    assert [name.split()[0] for name, report in reports.items() if not report.holds] == [invariant]


def test_an_empty_history_gives_no_check_anything_to_look_at() -> None:
    assert all(report.looked_at == 0 for report in check_all([]).values())
