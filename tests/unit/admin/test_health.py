"""What counts as healthy, and what is said of what does not."""

from collections.abc import Mapping

import msgspec
import pytest

from ternmq.admin import FollowerStatus, ReplicaStatus
from ternmq.admin.health import LAG_BYTES, LAG_MS, judge_group, judge_nameservers
from ternmq.admin.leadership import DiskRoom, WonElection
from ternmq.client import BrokerInfo, ClusterInfo

MEMBERS = ("n0", "n1", "n2")
ROOM = DiskRoom(free_bytes=60 << 30, total_bytes=100 << 30)


def replica(member: str, role: str = "follower", **facts: object) -> ReplicaStatus:
    leader = None if role == "candidate" else "n0"
    plain = ReplicaStatus(
        role, 5, member, leader, 100, applied_index=100, state_hash="aa", mode="raft", members=MEMBERS, disk=ROOM
    )
    return msgspec.structs.replace(plain, **facts)


def whole(**of_leader: object) -> dict[str, ReplicaStatus]:
    return {
        "h:1": replica("n0", "leader", election=WonElection(5, "leader_gone", 1), role_ms=12_000, **of_leader),
        "h:2": replica("n1"),
        "h:3": replica("n2"),
    }


def told(members: Mapping[str, ReplicaStatus]) -> list[tuple[str, str, str]]:
    return [(one.subject, one.level, one.finding) for one in judge_group("g", members)]


def test_a_group_with_all_its_members_and_a_leader_is_well_and_says_why_that_leads() -> None:
    said = "n0 leads in term 5 for 12 s (its predecessor's process was gone); 3 of 3 members answer"
    assert told(whole()) == [("g", "ok", said)]


def test_a_missing_member_is_a_warning_that_says_how_much_is_left() -> None:
    members = whole()
    del members["h:3"]
    (found,) = judge_group("g", members)
    assert (found.subject, found.level, found.advice) == ("g", "warning", "start g/n2 again")
    assert found.finding.endswith("2 of 3 members answer, not n2: if one more fails, sends are refused")


def test_a_group_without_a_leader_is_critical_whoever_answers() -> None:
    (found,) = judge_group("g", {"h:2": replica("n1", "candidate")})
    assert (found.level, found.advice) == ("critical", "start g/n0, g/n2 again")
    assert found.finding == "has no leader, so sends are refused; 1 of 3 members answer, not n0, n2"
    (found,) = judge_group("g", {address: replica(one.member, "candidate") for address, one in whole().items()})
    assert (found.level, found.advice) == ("critical", "look at the members' logs: `ternmq broker raft`")
    assert judge_group("g", {})[0].level == "critical"


def test_a_slave_without_its_master_may_be_promoted() -> None:
    alone = replica("n1", "candidate", mode="async-slave", members=("n0", "n1"))
    (found,) = judge_group("g", {"h:2": alone})
    assert found.level == "critical"
    assert "ternmq cluster promote g" in (found.advice or "")


@pytest.mark.parametrize(("bytes_behind", "lag_ms"), [(LAG_BYTES + 1, 5), (7, LAG_MS + 1)])
def test_a_replica_that_does_not_keep_up_is_a_warning_and_one_that_nearly_does_is_none(
    bytes_behind: int, lag_ms: int
) -> None:
    slow = FollowerStatus("n2", 90, bytes_behind, lag_ms)
    assert [row[:2] for row in told(whole(followers=(slow,)))] == [("g", "ok"), ("g/n2", "warning")]
    near = FollowerStatus("n2", 90, LAG_BYTES, LAG_MS)
    assert [row[:2] for row in told(whole(followers=(near,)))] == [("g", "ok")]


def test_states_that_differ_at_one_frame_are_critical_and_at_two_frames_say_nothing() -> None:
    members = whole() | {"h:2": replica("n1", state_hash="bb")}
    assert ("g", "critical", "the states of n0/n2 and n1 differ at frame 100") in told(members)
    members["h:2"] = replica("n1", state_hash="bb", applied_index=99)
    assert [row[1] for row in told(members)] == ["ok"]


def test_damage_and_a_disk_that_is_nearly_full_are_told_of_the_replica_that_has_them() -> None:
    full = DiskRoom(free_bytes=14 << 30, total_bytes=100 << 30)
    members = whole() | {"h:2": replica("n1", rot_detected=2, disk=full)}
    assert [row[:2] for row in told(members)] == [("g", "ok"), ("g/n1", "critical"), ("g/n1", "warning")]


@pytest.mark.parametrize("condition", ["slow", "hangs"])
def test_a_disk_that_is_slow_or_hangs_is_a_warning(condition: str) -> None:
    members = whole() | {"h:2": replica("n1", disk_condition=condition)}
    assert [row[:2] for row in told(members)] == [("g", "ok"), ("g/n1", "warning")]
    assert [row[1] for row in told(whole() | {"h:2": replica("n1", disk_condition="well")})] == ["ok"]


def test_the_newer_of_two_that_say_that_they_lead_is_believed() -> None:
    members = whole() | {"h:2": replica("n1", "leader", term=4)}
    assert told(members)[0][2].startswith("n0 leads in term 5")


def test_a_nameserver_that_is_silent_or_shows_another_master_is_a_warning() -> None:
    right = ClusterInfo("ns1", {"g": BrokerInfo("g", "c", {0: "h:1", 2: "h:2"})})
    stale = ClusterInfo("ns2", {"g": BrokerInfo("g", "c", {0: "h:2"})})
    found = judge_nameservers(["ns1", "ns2", "ns3"], [right, stale], {"g": whole()})
    assert [(one.subject, one.level) for one in found] == [("ns1", "ok"), ("ns2", "warning"), ("ns3", "warning")]
    assert found[1].finding == "shows no master, or another one, of g"
    assert found[2].finding == "does not answer; 2 of 3 do"
