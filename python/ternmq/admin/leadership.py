"""Who leads a group, handing leadership to another member, and promoting a slave whose master is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from ternmq.client import BrokerInfo, ClusterInfo
from ternmq.errors import BodyError, MQError, NotFoundError, NotWritableError, UnsupportedError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.responses import response_error
from ternmq.remoting import Endpoint

MASTER_ID = 0
_ANSWER_WITHIN_S = 3.0
_LOOK_EVERY_S = 0.02
LEADER = "leader"


class FollowerStatus(msgspec.Struct, frozen=True):
    """What a leader knows of another member of its group.

    Args:
        member: its member id.
        last_index: the last frame that it has persisted.
        bytes_behind: bytes of the leader's log that it lacks.
        lag_ms: for how long it has lacked something, 0 while it has everything; by the leader's clock.
        address: where clients reach it, if it has said so.
    """

    member: str
    last_index: int
    bytes_behind: int
    lag_ms: int
    address: str | None = None


class WonElection(msgspec.Struct, frozen=True):
    """An election that a replica won.

    Args:
        term: of its leadership.
        cause: why it stood: ``started``, ``leader_silent``, ``leader_gone``, ``handed_over`` or ``promoted``.
        at_ms: when it won, ms since 1970.
    """

    term: int
    cause: str
    at_ms: int


class DiskRoom(msgspec.Struct, frozen=True):
    """The disk of a replica's data.

    Args:
        free_bytes: that the replica may use.
        total_bytes: of the file system.
    """

    free_bytes: int
    total_bytes: int


class ReplicaStatus(msgspec.Struct, frozen=True):
    """What a replica says about itself; what an older one does not say has its default.

    Args:
        role: ``leader``, ``follower``, ``candidate`` or ``starting``.
        term: Raft term.
        member: its member id, such as ``n0``.
        leader: member id of the leader that it knows.
        last_index: end of its log.
        followers: of a leader, what it knows of the others.
        role_ms: for how long role and term are what they are.
        applied_index: newest frame that its views show.
        last_position: end of its log, bytes.
        state_hash: of the state at `applied_index`; equal on all replicas.
        mode: how its group replicates; empty where it does not say.
        members: member ids of its group, itself included.
        in_reach: ids of the other members that are connected to it now.
        election: the newest election that it won since its start.
        leaderless_ms: for how long it has known no leader.
        rot_detected: how often it met damage in its log since its start.
        disk: the disk of its data.
        disk_condition: ``well``, ``slow`` beside the others' or ``hangs``: it does not lead while it is not well.
    """

    role: str
    term: int
    member: str
    leader: str | None = None
    last_index: int = 0
    followers: tuple[FollowerStatus, ...] = ()
    role_ms: int = 0
    applied_index: int = 0
    last_position: int = 0
    state_hash: str = ""
    mode: str = ""
    members: tuple[str, ...] = ()
    in_reach: tuple[str, ...] = ()
    election: WonElection | None = None
    leaderless_ms: int = 0
    rot_detected: int = 0
    disk: DiskRoom | None = None
    disk_condition: str = ""


@dataclass(frozen=True)
class Transfer:
    """A hand-over that worked.

    Args:
        group: broker group.
        old_leader: member id.
        new_leader: member id.
        term: of the new leader.
        duration_s: from the request until the new leader said that it leads.
    """

    group: str
    old_leader: str
    new_leader: str
    term: int
    duration_s: float


@dataclass(frozen=True)
class Promotion:
    """A slave that has become the master.

    Args:
        group: broker group.
        master: member id of the new master.
        term: in which it leads.
        last_index: its last frame when it was promoted; what the old master had behind it is not there.
        stored_ms: when that frame was stored, ms since 1970.
        duration_s: from the request until it said that it leads.
    """

    group: str
    master: str
    term: int
    last_index: int
    stored_ms: int
    duration_s: float


def believed_leader(members: Iterable[ReplicaStatus]) -> ReplicaStatus | None:
    """Give the one that leads; of several that say so, as a deposed one may for a moment, that of the newest term.

    Args:
        members: what the replicas of a group say of themselves.
    """
    leaders = [status for status in members if status.role == LEADER]
    return max(leaders, key=lambda status: status.term, default=None)


async def replica_status(endpoint: Endpoint, address: str) -> ReplicaStatus | None:
    """Ask a replica about itself.

    Args:
        endpoint: the network.
        address: where clients reach it.

    Returns:
        What it says; None if it does not answer now.

    Raises:
        UnsupportedError: it does not speak about replicas.
        BodyError: its answer cannot be read.
    """
    try:
        answer = await endpoint.call(address, RequestCode.GET_REPLICA_STATUS, timeout=_ANSWER_WITHIN_S)
    except MQError:
        return None
    if answer.code == ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
        raise UnsupportedError(f"{address} does not speak about replicas: no Raft group of ternmq", broker=address)
    if answer.code != ResponseCode.SUCCESS:
        return None
    try:
        return msgspec.json.decode(answer.body, type=ReplicaStatus)
    except msgspec.DecodeError as error:
        raise BodyError(f"{address} describes itself in a form that cannot be read: {error}", broker=address) from error


def broker_group(cluster: ClusterInfo, group: str) -> BrokerInfo:
    """Give what a NameServer shows of a group.

    Raises:
        NotFoundError: it shows none of that name.
    """
    found = cluster.brokers.get(group)
    if found is None:
        raise NotFoundError(f"there is no group {group}; groups here: {', '.join(cluster.brokers) or 'none'}")
    return found


async def group_members(endpoint: Endpoint, cluster: ClusterInfo, group: str) -> dict[str, ReplicaStatus]:
    """Ask every member of a group that its NameServers show; those that do not answer are left out.

    Args:
        endpoint: the network.
        cluster: what a NameServer shows.
        group: broker name.

    Returns:
        Address to status.

    Raises:
        NotFoundError: no such group.
        UnsupportedError: its members do not speak about replicas; they are not ours, or no Raft group.
    """
    found = broker_group(cluster, group)
    addresses = sorted(set(found.addresses.values()))
    answers = await asyncio.gather(*(replica_status(endpoint, address) for address in addresses))
    return {address: answer for address, answer in zip(addresses, answers, strict=True) if answer is not None}


async def transfer_leader(
    endpoint: Endpoint, cluster: ClusterInfo, group: str, member: str | None, *, within_s: float
) -> Transfer:
    """Hand the leadership of a group to another member; returns when that member leads.

    Args:
        endpoint: the network.
        cluster: what a NameServer shows.
        group: broker name.
        member: member id of the new leader; None takes the most complete of the others.
        within_s: longest wait for the change.

    Raises:
        NotFoundError: no such group or member.
        NotWritableError: no member leads now, or the change did not happen in time: the old leader goes on.
        UnsupportedError: not a Raft group of ours.
        MQError: the leader refused.
    """
    members = await group_members(endpoint, cluster, group)
    leader_address = next((address for address, status in members.items() if status.role == LEADER), None)
    if leader_address is None:
        raise NotWritableError(f"group {group} has no leader at the moment, so there is nothing to hand over")
    old = members[leader_address].member
    target = _target(group, members, old, member)
    if target == old:
        raise MQError(f"{group}/{old} leads already")
    began = time.monotonic()
    answer = await endpoint.call(
        leader_address, RequestCode.TRANSFER_LEADER, {"member": target}, timeout=_ANSWER_WITHIN_S
    )
    if answer.code != ResponseCode.SUCCESS:
        raise response_error(answer.code, answer.remark, broker=leader_address)
    address = next(address for address, status in members.items() if status.member == target)
    term = await _wait_for_leader(endpoint, address, began + within_s)
    if term is None:
        raise NotWritableError(f"{group}/{target} does not lead after {within_s:g} s; {group}/{old} may go on")
    return Transfer(group, old, target, term, time.monotonic() - began)


async def promote_slave(
    endpoint: Endpoint, cluster: ClusterInfo, group: str, member: str, *, force: bool, within_s: float
) -> Promotion:
    """Make a slave the master of its group, as its master is gone; returns when it leads.

    Args:
        endpoint: the network.
        cluster: what a NameServer shows.
        group: broker name.
        member: member id of the slave.
        force: accept that what the master alone had is lost.
        within_s: longest wait until it leads.

    Raises:
        NotFoundError: no such group or member.
        NotWritableError: it does not lead in time.
        MQError: it refused: it is no slave, its master lives, or messages may be lost and `force` is not set.
    """
    members = await group_members(endpoint, cluster, group)
    address = next((address for address, status in members.items() if status.member == member), None)
    if address is None:
        known = ", ".join(sorted(status.member for status in members.values())) or "none"
        raise NotFoundError(f"{group} has no member {member} that answers; these do: {known}")
    began = time.monotonic()
    fields = {"force": "true" if force else "false"}
    answer = await endpoint.call(address, RequestCode.PROMOTE_SLAVE, fields, timeout=_ANSWER_WITHIN_S)
    if answer.code != ResponseCode.SUCCESS:
        raise response_error(answer.code, answer.remark, broker=address)
    term = await _wait_for_leader(endpoint, address, began + within_s)
    if term is None:
        raise NotWritableError(f"{group}/{member} does not lead after {within_s:g} s; read its log")
    last_index, stored_ms = (int(answer.fields[key]) for key in ("lastIndex", "storedTimestamp"))
    return Promotion(group, member, term, last_index, stored_ms, time.monotonic() - began)


def _target(group: str, members: Mapping[str, ReplicaStatus], leader: str, wanted: str | None) -> str:
    others = {status.member: status.last_index for status in members.values() if status.member != leader}
    if wanted is None:
        if not others:
            raise NotFoundError(f"no other member of {group} answers")
        return max(others, key=lambda name: others[name])
    if wanted not in others and wanted != leader:
        raise NotFoundError(f"{group} has no member {wanted} that answers; these do: {', '.join(sorted(others))}")
    return wanted


async def _wait_for_leader(endpoint: Endpoint, address: str, deadline: float) -> int | None:
    while time.monotonic() < deadline:
        status = await replica_status(endpoint, address)
        if status is not None and status.role == LEADER:
            return status.term
        await asyncio.sleep(_LOOK_EVERY_S)
    return None
