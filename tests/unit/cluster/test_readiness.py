"""What a complete cluster looks like to its NameServers."""

import pytest

from ternmq.cluster.node import BROKER, NAMESRV, NodeSpec
from ternmq.cluster.readiness import Expectation, GroupTable, agreed_master, master_of, missing

A, B, C = "127.0.0.1:10911", "127.0.0.1:10921", "127.0.0.1:10931"
WHOLE: GroupTable = {"group-a": {0: B, 1: A, 3: C}}


@pytest.fixture
def expected() -> Expectation:
    def node(name: str, kind: str, group: str | None, address: str) -> NodeSpec:
        return NodeSpec(name, kind, group, address, (), ())

    return Expectation.of(
        [
            node("ns1", NAMESRV, None, "127.0.0.1:9876"),
            node("ns2", NAMESRV, None, "127.0.0.1:9877"),
            node("group-a/n0", BROKER, "group-a", A),
            node("group-a/n1", BROKER, "group-a", B),
            node("group-a/n2", BROKER, "group-a", C),
        ]
    )


def test_ready_means_that_every_nameserver_shows_a_master_and_all_members(expected: Expectation) -> None:
    assert missing(expected, {"ns1": WHOLE, "ns2": WHOLE}) == []


def test_one_silent_nameserver_is_named(expected: Expectation) -> None:
    assert missing(expected, {"ns1": WHOLE, "ns2": None}) == ["ns2 does not answer"]
    assert missing(expected, {"ns1": WHOLE}) == ["ns2 does not answer"]


def test_a_group_without_master_is_named(expected: Expectation) -> None:
    followers: GroupTable = {"group-a": {1: A, 2: B, 3: C}}
    assert missing(expected, {"ns1": WHOLE, "ns2": followers}) == ["ns2 shows no master of group-a"]


def test_missing_members_are_counted(expected: Expectation) -> None:
    partial: GroupTable = {"group-a": {0: A}}
    assert missing(expected, {"ns1": partial, "ns2": WHOLE}) == ["ns1 shows 1 of 3 in group-a"]


def test_a_foreign_address_does_not_stand_in_for_a_member(expected: Expectation) -> None:
    foreign: GroupTable = {"group-a": {0: A, 1: B, 2: "127.0.0.1:1"}}
    assert missing(expected, {"ns1": foreign, "ns2": WHOLE}) == ["ns1 shows 2 of 3 in group-a"]


def test_the_master_is_the_one_that_most_nameservers_show() -> None:
    stale: GroupTable = {"group-a": {0: A}}
    assert master_of("group-a", [stale, WHOLE, WHOLE]) == B
    assert master_of("group-a", [None, {}]) is None
    assert master_of("group-b", [WHOLE]) is None


def test_an_agreed_master_needs_every_nameserver_that_was_asked() -> None:
    stale: GroupTable = {"group-a": {0: A}}
    assert agreed_master("group-a", [WHOLE, WHOLE]) == B
    assert agreed_master("group-a", [WHOLE, stale]) is None
    assert agreed_master("group-a", [WHOLE, None]) is None
    assert agreed_master("group-a", [{}, {}]) is None
    assert agreed_master("group-a", []) is None
