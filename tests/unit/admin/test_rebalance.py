"""Spreading topics over groups: the plan, and what is asked of masters in which order."""

from __future__ import annotations

from typing import Any

import pytest

from support.played_groups import PlayedGroups
from ternmq.admin import CopyConsumerGroup, GroupContents, RebalancePlan, carry_out, plan_rebalance
from ternmq.protocol.groups import GroupConfig
from ternmq.protocol.topics import TopicConfig

OWN = {"DefaultCluster", "group-a", "group-b"}


def topic(name: str, queues: int = 4, **more: Any) -> TopicConfig:
    return TopicConfig(topic_name=name, read_queue_nums=queues, write_queue_nums=queues, **more)


def holds(*topics: TopicConfig, **more: Any) -> GroupContents:
    return GroupContents({config.topic_name: config for config in topics}, more.pop("groups", {}), **more)


def plan(contents: dict[str, GroupContents], topics: set[str] | None = None) -> RebalancePlan:
    return plan_rebalance(contents, OWN, topics)


def widened(found: RebalancePlan) -> list[tuple[str, str, list[int]]]:
    return [(step.config.topic_name, step.group, list(step.new_queues)) for step in found.widenings]


def test_a_topic_gets_as_many_queues_on_a_new_group_as_it_has_elsewhere() -> None:
    found = plan({"group-a": holds(topic("orders", 8), offsets={}), "group-b": holds(offsets={})})
    assert widened(found) == [("orders", "group-b", list(range(8)))]


def test_a_topic_that_a_send_made_smaller_on_one_group_gets_the_queues_that_it_lacks() -> None:
    found = plan({"group-a": holds(topic("orders", 8), offsets={}), "group-b": holds(topic("orders", 4), offsets={})})
    assert widened(found) == [("orders", "group-b", [4, 5, 6, 7])]


@pytest.mark.parametrize("more", [{"order": True}, {"attributes": {"message.type": "FIFO"}}])
def test_an_ordered_topic_stays_where_it_is_and_the_plan_says_why(more: dict[str, Any]) -> None:
    found = plan({"group-a": holds(topic("steps", **more), offsets={}), "group-b": holds(offsets={})})
    assert not found.widenings
    assert [(stays.topic, stays.groups, stays.reason.split(":")[0]) for stays in found.stays] == [
        ("steps", ("group-a",), "ordered")
    ]


def test_topics_of_the_brokers_and_of_retries_are_left_to_them() -> None:
    names = ["TBW102", "SCHEDULE_TOPIC_XXXX", "DefaultCluster", "DefaultCluster_REPLY_TOPIC", "%RETRY%g", "%DLQ%g"]
    found = plan({"group-a": holds(*map(topic, names), offsets={}), "group-b": holds(offsets={})})
    assert found == RebalancePlan((), (), ())


def test_a_group_that_is_being_emptied_gets_nothing_and_gives_its_topics() -> None:
    contents = {
        "group-a": holds(topic("orders"), offsets={}, permission=4),
        "group-b": holds(offsets={}),
        "group-c": holds(offsets={}, rejects_sends=True),
    }
    assert [group for _, group, _ in widened(plan(contents))] == ["group-b"]


def test_a_topic_that_nobody_may_send_to_stays() -> None:
    found = plan({"group-a": holds(topic("old", perm=4), offsets={}), "group-b": holds(offsets={})})
    assert not found.widenings
    assert "read-only" in found.stays[0].reason


def test_only_the_topics_that_are_named_are_planned() -> None:
    contents = {"group-a": holds(topic("a"), topic("b"), offsets={}), "group-b": holds(offsets={})}
    assert [name for name, *_ in widened(plan(contents, {"b"}))] == ["b"]


def test_a_consumer_group_is_copied_as_an_operator_configured_it() -> None:
    config = GroupConfig(group_name="g", retry_max_times=3)
    found = plan({"group-a": holds(offsets={}, groups={"g": config}), "group-b": holds(offsets={})})
    assert found.copies == (CopyConsumerGroup("group-b", config),)


@pytest.mark.asyncio
async def test_new_queues_are_opened_only_when_every_reader_has_an_offset_in_them() -> None:
    groups = PlayedGroups(readers={"orders": ["g-now"]})
    contents = {
        "group-a": holds(topic("orders", 2), offsets={("orders", "g-before"): {0: 7}}),
        "group-b": holds(offsets={}),
    }
    await carry_out(groups.masters(), plan(contents), lambda _: None)
    asked = [entry for entry in groups.asked if entry.group == "group-b"]
    assert [entry.code for entry in asked] == [17, 15, 15, 15, 15, 17]
    assert [(asked[0].fields["perm"], asked[0].fields["writeQueueNums"]), asked[0].fields["readQueueNums"]] == [
        ("4", "1"), "2",
    ]  # fmt: skip
    commits = {tuple(entry.fields[key] for key in ("consumerGroup", "queueId", "commitOffset")) for entry in asked[1:5]}
    assert commits == {(reader, queue, "0") for reader in ("g-before", "g-now") for queue in ("0", "1")}
    assert (asked[-1].fields["perm"], asked[-1].fields["writeQueueNums"]) == ("6", "2")


@pytest.mark.asyncio
async def test_a_plan_that_was_broken_off_is_ended_by_the_next_and_no_offset_goes_back() -> None:
    groups = PlayedGroups()
    half = TopicConfig(topic_name="orders", read_queue_nums=2, write_queue_nums=1, perm=4)
    contents = {
        "group-a": holds(topic("orders", 2), offsets={("orders", "g"): {0: 7}}),
        "group-b": holds(half, offsets={("orders", "g"): {0: 3}}),
    }
    found = plan(contents)
    assert widened(found) == [("orders", "group-b", [0, 1])]
    await carry_out(groups.masters(), found, lambda _: None)
    commits = [entry.fields["queueId"] for entry in groups.asked if entry.code == 15]
    assert commits == ["1"]


def test_one_queue_that_was_never_opened_is_opened() -> None:
    contents = {
        "group-a": holds(topic("single", 1), offsets={}),
        "group-b": holds(topic("single", 1, perm=4), offsets={}),
    }
    assert widened(plan(contents)) == [("single", "group-b", [0])]


def test_a_plan_that_was_carried_out_has_nothing_left_to_do() -> None:
    both = holds(topic("orders", 8), offsets={})
    assert plan({"group-a": both, "group-b": both}) == RebalancePlan((), (), ())
