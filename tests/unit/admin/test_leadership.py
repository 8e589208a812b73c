"""Handing leadership over, against replicas that a test plays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from ternmq.admin import group_members, promote_slave, transfer_leader
from ternmq.client import BrokerInfo, ClusterInfo
from ternmq.errors import MQError, NotFoundError, NotWritableError, UnreachableError, UnsupportedError
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Answer, Endpoint

pytestmark = pytest.mark.asyncio

A, B, C = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"
SHOWN = ClusterInfo("127.0.0.1:9876", {"group-a": BrokerInfo("group-a", "DefaultCluster", {0: A, 2: B, 3: C})})


class Group:
    """Three replicas; the first leads until it is told to hand over."""

    def __init__(self) -> None:
        self.members = {A: "n0", B: "n1", C: "n2"}
        self.last_index = {A: 10, B: 8, C: 9}
        self.leader: str | None = A
        self.dead: set[str] = set()
        self.transfers: list[str] = []
        self.obeys = True
        self.speaks = True

    async def call(
        self, address: str, code: int, fields: Mapping[str, str] | None = None, body: bytes = b"", timeout: float = 3.0
    ) -> Answer:
        if address in self.dead:
            raise UnreachableError(f"{address} cannot be reached")
        if not self.speaks:
            return Answer(3, 513, "request type not supported", {}, b"")
        if code == RequestCode.TRANSFER_LEADER:
            return self._transfer(address, (fields or {})["member"])
        if code == RequestCode.PROMOTE_SLAVE:
            return self._promote(address, (fields or {})["force"])
        assert code == RequestCode.GET_REPLICA_STATUS
        role = "leader" if address == self.leader else "follower"
        status: dict[str, Any] = {"role": role, "term": 7, "member": self.members[address], "commit_index": 1}
        return Answer(0, 513, None, {}, json.dumps(status | {"last_index": self.last_index[address]}).encode())

    def _transfer(self, address: str, member: str) -> Answer:
        if address != self.leader:
            return Answer(14, 513, "this replica does not lead its group", {}, b"")
        self.transfers.append(member)
        if self.obeys:
            self.leader = next(place for place, name in self.members.items() if name == member)
        return Answer(0, 513, None, {}, b"")

    def _promote(self, address: str, force: str) -> Answer:
        if force != "true":
            return Answer(1, 513, "what its master stored last may be there alone", {}, b"")
        if self.obeys:
            self.leader = address
        return Answer(0, 513, None, {"lastIndex": "8", "storedTimestamp": "1700000000000"}, b"")


@pytest.fixture
def group() -> Group:
    return Group()


def _endpoint(group: Group) -> Endpoint:
    return cast(Endpoint, group)


async def test_leadership_goes_to_the_member_that_is_named(group: Group) -> None:
    transfer = await transfer_leader(_endpoint(group), SHOWN, "group-a", "n1", within_s=5)
    assert group.transfers == ["n1"]
    assert (transfer.old_leader, transfer.new_leader, transfer.term) == ("n0", "n1", 7)


async def test_without_a_name_the_most_complete_of_the_others_leads(group: Group) -> None:
    transfer = await transfer_leader(_endpoint(group), SHOWN, "group-a", None, within_s=5)
    assert transfer.new_leader == "n2"


async def test_a_member_that_does_not_answer_is_no_target(group: Group) -> None:
    group.dead = {C}
    assert (await transfer_leader(_endpoint(group), SHOWN, "group-a", None, within_s=5)).new_leader == "n1"
    with pytest.raises(NotFoundError, match="no member n2 that answers; these do: n0"):
        await transfer_leader(_endpoint(group), SHOWN, "group-a", "n2", within_s=5)


async def test_who_leads_already_is_refused(group: Group) -> None:
    with pytest.raises(MQError, match="group-a/n0 leads already"):
        await transfer_leader(_endpoint(group), SHOWN, "group-a", "n0", within_s=5)
    assert group.transfers == []


async def test_an_unknown_group_is_told_which_there_are(group: Group) -> None:
    with pytest.raises(NotFoundError, match="no group group-z; groups here: group-a"):
        await transfer_leader(_endpoint(group), SHOWN, "group-z", None, within_s=5)


async def test_a_group_without_leader_has_nothing_to_hand_over(group: Group) -> None:
    group.leader = None
    with pytest.raises(NotWritableError, match="no leader at the moment"):
        await transfer_leader(_endpoint(group), SHOWN, "group-a", None, within_s=5)


async def test_a_transfer_that_does_not_happen_ends_in_time(group: Group) -> None:
    group.obeys = False
    with pytest.raises(NotWritableError, match="does not lead after"):
        await transfer_leader(_endpoint(group), SHOWN, "group-a", "n1", within_s=0.05)


async def test_a_group_that_is_not_ours_is_said_to_be_so(group: Group) -> None:
    group.speaks = False
    with pytest.raises(UnsupportedError, match="no Raft group of ternmq"):
        await group_members(_endpoint(group), SHOWN, "group-a")


async def test_a_slave_of_a_dead_master_is_promoted_by_force_alone(group: Group) -> None:
    group.dead.add(A)
    group.leader = None
    with pytest.raises(MQError, match="may be there alone"):
        await promote_slave(_endpoint(group), SHOWN, "group-a", "n1", force=False, within_s=5)
    promotion = await promote_slave(_endpoint(group), SHOWN, "group-a", "n1", force=True, within_s=5)
    assert (promotion.master, promotion.term, promotion.last_index, promotion.stored_ms) == (
        "n1",
        7,
        8,
        1_700_000_000_000,
    )
    assert group.leader == B


async def test_a_promotion_of_nobody_or_without_effect_is_an_error(group: Group) -> None:
    group.dead.add(A)
    with pytest.raises(NotFoundError, match="no member n0 that answers; these do: n1, n2"):
        await promote_slave(_endpoint(group), SHOWN, "group-a", "n0", force=True, within_s=5)
    group.obeys = False
    group.leader = None
    with pytest.raises(NotWritableError, match="does not lead after"):
        await promote_slave(_endpoint(group), SHOWN, "group-a", "n1", force=True, within_s=0.05)
