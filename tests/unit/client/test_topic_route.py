"""Routes of Apache's NameServers (golden bodies) and what a client makes of them."""

import pytest

from support.golden import golden_frames
from ternmq.client.message_queue import MessageQueue
from ternmq.client.topic_route import (
    QueueCounts,
    derived_route,
    make_route,
    read_cluster,
    read_route,
    with_missing_groups,
)

ROUTES = [frame for frame in golden_frames("namesrv", 105, "s2c") if frame.code == 0]
CLUSTERS = [frame for frame in golden_frames("namesrv", 106, "s2c") if frame.code == 0]


def test_there_are_golden_bodies() -> None:
    assert len(ROUTES) >= 10
    assert len(CLUSTERS) >= 5


@pytest.mark.parametrize("frame", ROUTES, ids=lambda frame: frame.where)
def test_every_golden_route_gives_queues_and_a_master(frame) -> None:  # type: ignore[no-untyped-def]
    route = read_route("t", frame.body)
    assert route.writable == route.readable
    assert route.writable[0] == MessageQueue("t", "g0", 0)
    assert route.brokers["g0"][0].startswith("127.0.0.1:")


@pytest.mark.parametrize("frame", CLUSTERS, ids=lambda frame: frame.where)
def test_every_golden_cluster_gives_addresses_by_broker_id(frame) -> None:  # type: ignore[no-untyped-def]
    for addresses in read_cluster(frame.body).values():
        assert {type(number) for number in addresses} <= {int}
        assert all(":" in address for address in addresses.values())


def _route(**groups: QueueCounts):  # type: ignore[no-untyped-def]
    return make_route("t", groups, {name: {0: f"{name}:1"} for name in groups})


def test_queues_are_sorted_by_group_and_number() -> None:
    route = _route(b=QueueCounts(1, 1, 6), a=QueueCounts(2, 2, 6))
    assert [(queue.broker, queue.id) for queue in route.writable] == [("a", 0), ("a", 1), ("b", 0)]


def test_permissions_say_what_may_be_read_and_written() -> None:
    route = _route(a=QueueCounts(3, 2, 6), b=QueueCounts(1, 1, 4), c=QueueCounts(1, 1, 2))
    assert [(queue.broker, queue.id) for queue in route.writable] == [("a", 0), ("a", 1), ("c", 0)]
    assert [(queue.broker, queue.id) for queue in route.readable] == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]


def test_a_group_without_a_master_keeps_its_queues() -> None:
    route = make_route("t", {"a": QueueCounts(2, 2, 6)}, {"a": {2: "a1:1"}})
    assert len(route.writable) == len(route.readable) == 2


def test_an_ordered_topic_has_the_listed_queues() -> None:
    groups = {"a": QueueCounts(4, 4, 6), "b": QueueCounts(4, 4, 6)}
    route = make_route("t", groups, {}, order="b:1;a:2")
    assert [(queue.broker, queue.id) for queue in route.writable] == [("b", 0), ("a", 0), ("a", 1)]


@pytest.mark.parametrize("order", ["b", "b:", "b:x", ":1", "b:1;a:0"])
def test_a_malformed_order_is_ignored(order: str) -> None:
    assert len(make_route("t", {"a": QueueCounts(4, 4, 6)}, {}, order=order).writable) == 4


def test_a_topic_to_be_created_is_written_on_every_group_as_its_template_and_read_nowhere() -> None:
    template = make_route("TBW102", {"a": QueueCounts(8, 8, 7), "b": QueueCounts(2, 2, 7)}, {"a": {0: "a:1"}})
    route = derived_route("new", template)
    assert route.derived
    assert [(queue.topic, queue.broker, queue.id) for queue in route.writable] == [
        *(("new", "a", number) for number in range(8)), *(("new", "b", number) for number in range(2)),
    ]  # fmt: skip
    assert (route.readable, route.groups, route.brokers) == ((), {}, {"a": {0: "a:1"}, "b": {}})


def test_a_group_that_only_promised_queues_is_written_and_not_read_when_another_one_has_the_topic() -> None:
    template = make_route("TBW102", {"a": QueueCounts(1, 1, 7), "b": QueueCounts(2, 2, 7)}, {"a": {0: "a:1"}})
    found = make_route("new", {"b": QueueCounts(2, 2, 6)}, {"b": {0: "b:1"}})
    route = with_missing_groups(found, derived_route("new", template), {"a", "b"})
    assert not route.derived
    assert [queue.broker for queue in route.writable] == ["a", "b", "b"]
    assert route.readable == found.readable
    assert (route.groups, route.promised) == (found.groups, {"a": 1})
    assert with_missing_groups(found, route, {"b"}) == found, "a promise ends after a while"


def test_a_group_that_a_new_nameserver_leaves_out_is_kept_for_a_while() -> None:
    before = _route(a=QueueCounts(1, 1, 6), b=QueueCounts(1, 1, 6))
    partial = _route(b=QueueCounts(1, 1, 6))
    kept = with_missing_groups(partial, before, {"a", "b"})
    assert (kept.writable, kept.readable) == (before.writable, before.readable)
    assert kept.brokers["a"] == {0: "a:1"}
    assert with_missing_groups(partial, before, {"b"}) == partial
