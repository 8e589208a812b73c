"""Emptying a group: what speaks against it, what is still to be read, and when sends are rejected."""

from __future__ import annotations

from typing import Any

import pytest

from support.played_groups import PlayedGroups
from ternmq.admin import GroupContents, Unread, describe_unread, find_unread, reject_sends_when_quiet, why_not_drained
from ternmq.errors import MQError, NotFoundError, NotWritableError
from ternmq.protocol.topics import TopicConfig

OWN = {"DefaultCluster", "group-a", "group-b"}


def topic(name: str, **more: Any) -> TopicConfig:
    return TopicConfig(topic_name=name, **more)


def holds(*topics: TopicConfig, **more: Any) -> GroupContents:
    return GroupContents({config.topic_name: config for config in topics}, {}, more.pop("offsets", {}), **more)


def against(mine: GroupContents, other: GroupContents) -> list[str]:
    return why_not_drained("group-a", {"group-a": mine, "group-b": other}, OWN)


def test_nothing_speaks_against_a_group_whose_topics_are_elsewhere_too() -> None:
    both = holds(topic("orders"), topic("TBW102", perm=7), topic("%RETRY%g"), topic("group-a"))
    assert against(both, holds(topic("orders"))) == []


def test_the_last_group_that_takes_messages_is_needed() -> None:
    found = against(holds(), holds(permission=4))
    assert len(found) == 1
    assert "no other group takes messages" in found[0]


def test_a_topic_without_another_writable_group_is_named() -> None:
    found = against(holds(*map(topic, "abcde")), holds(topic("a", perm=4), topic("b")))
    assert found == [
        "topic a, c, d and 1 more can be sent to on no other group: spread topics first (`ternmq cluster rebalance`)"
    ]
    assert against(holds(topic("old", perm=4)), holds()) == [], "nobody sends to it anyway"


def test_an_ordered_topic_is_named() -> None:
    steps = topic("steps", order=True)
    assert "ordered" in against(holds(steps), holds(steps))[0]


@pytest.mark.asyncio
async def test_what_a_reader_on_any_group_has_not_read_here_is_unread() -> None:
    groups = PlayedGroups(stats={"orders": {0: 10, 1: 5}, "empty": {0: 0}, "lonely": {0: 3}, "%RETRY%g": {0: 2}})
    contents = {
        "group-a": holds(
            *map(topic, ["orders", "empty", "lonely", "%RETRY%g", "SCHEDULE_TOPIC_XXXX"]),
            offsets={("orders", "g"): {0: 10, 1: 5}, ("orders", "slow"): {0: 4}},
        ),
        "group-b": holds(topic("orders"), offsets={("orders", "new"): {0: 1}}),
    }
    assert await find_unread(groups.masters(), "group-a", contents) == [
        Unread("orders", "new", 15),
        Unread("orders", "slow", 11),
        Unread("lonely", None, 3),
        Unread("%RETRY%g", "g", 2),
    ]
    assert all(entry.fields.get("topic") != "SCHEDULE_TOPIC_XXXX" for entry in groups.asked)


@pytest.mark.asyncio
async def test_messages_whose_time_has_not_come_are_unread() -> None:
    groups = PlayedGroups(runtime=[{"scheduleMessageOffset_3": "4,9", "scheduleMessageOffset_5": "2,2", "x": "y"}])
    assert await find_unread(groups.masters(), "group-a", {"group-a": holds()}) == [
        Unread("SCHEDULE_TOPIC_XXXX", None, 5)
    ]


def test_the_five_largest_backlogs_are_named() -> None:
    text = describe_unread([Unread(f"t{number}", None if number else "g", 9 - number) for number in range(7)])
    assert text.startswith("unread: 9 of t0 by g, 8 of t1 by nobody so far, ")
    assert text.endswith("5 of t4 by nobody so far, and 2 more")


@pytest.mark.asyncio
async def test_sends_are_rejected_only_when_none_came_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ternmq.admin.drain._LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("ternmq.admin.drain._QUIET_S", 0.05)
    groups = PlayedGroups(runtime=[{"msgPutTotalTodayNow": str(min(number, 30))} for number in range(31)])
    said: list[str] = []
    await reject_sends_when_quiet(groups.masters(), "group-a", said.append)
    assert (groups.asked[-1].code, groups.asked[-1].body) == (25, b"rejectSends=true")
    assert len(groups.asked) > 31
    assert "producers still send to group-a" in said[0]


@pytest.mark.asyncio
async def test_whoever_never_stops_sending_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ternmq.admin.drain._LOOK_EVERY_S", 0.001)
    groups = PlayedGroups(runtime=[{"msgPutTotalTodayNow": str(number)} for number in range(100_000)])
    await reject_sends_when_quiet(groups.masters(), "group-a", lambda _: None, patience_s=0.05)
    assert groups.asked[-1].body == b"rejectSends=true"


@pytest.mark.asyncio
async def test_a_master_that_has_moved_is_found() -> None:
    groups = PlayedGroups()
    groups.moved["group-a"] = "127.0.0.1:10"
    answer = await groups.masters().ask("group-a", 28)
    assert answer.code == 0
    assert [entry.group for entry in groups.asked] == ["group-a"]


@pytest.mark.asyncio
async def test_a_group_that_is_not_there_or_has_no_master_is_said() -> None:
    groups = PlayedGroups()
    with pytest.raises(NotFoundError, match="no group x; groups here: group-a, group-b"):
        await groups.masters().ask("x", 28)
    groups.moved["group-a"] = "nowhere"
    with pytest.raises(NotWritableError, match="no master"):
        await groups.masters(within_s=0.1).ask("group-a", 28)


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [2, 14])
async def test_a_master_that_has_no_time_is_asked_again_and_not_for_ever(code: int) -> None:
    groups = PlayedGroups()
    groups.code = code
    with pytest.raises(MQError, match="not now"):
        await groups.masters(within_s=0.2).ask("group-a", 28)
    assert len(groups.asked) > 1


@pytest.mark.asyncio
async def test_what_a_master_refuses_is_not_asked_again() -> None:
    groups = PlayedGroups()
    groups.code = 16
    with pytest.raises(MQError, match="not now"):
        await groups.masters().ask("group-a", 25)
    assert len(groups.asked) == 1
