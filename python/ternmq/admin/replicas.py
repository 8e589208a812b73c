"""How far the members of a group are, put together from what they say and what their leader knows of the others."""

from collections.abc import Mapping
from dataclasses import dataclass

from ternmq.admin.leadership import ReplicaStatus, believed_leader

SILENT = "silent"
"""The role of a member that does not answer and of which its leader tells."""


@dataclass(frozen=True)
class ReplicaRow:
    """One member.

    Args:
        group: broker group.
        member: member id.
        role: what it says of itself, or ``silent``.
        term: what it says; of a silent one the leader's.
        last_index: end of its log as it says; of a silent one the last frame that its leader knows it to have.
        frames_behind: frames that it lacks of the longest log.
        address: where clients reach it; empty where nobody says so.
        lag_ms: for how long it has lacked something that its leader has, 0 while it has everything; None without a
            leader, or while the leader has not heard of it since it leads.
        bytes_behind: bytes of its leader's log that it lacks; None as above.
    """

    group: str
    member: str
    role: str
    term: int
    last_index: int
    frames_behind: int
    address: str
    lag_ms: int | None
    bytes_behind: int | None


def replica_rows(group: str, members: Mapping[str, ReplicaStatus]) -> list[ReplicaRow]:
    """Give a row for each member that answered or of which the leader tells, ordered by member id.

    Args:
        group: broker group.
        members: what those that answered say of themselves, by address.
    """
    leader = believed_leader(members.values())
    followers = {follower.member: follower for follower in leader.followers} if leader else {}
    behind = {member: (follower.lag_ms, follower.bytes_behind) for member, follower in followers.items()}
    if leader:
        behind[leader.member] = (0, 0)
    end = max((status.last_index for status in members.values()), default=0)
    rows = {}
    for address, status in members.items():
        lag_ms, bytes_behind = behind.get(status.member, (None, None))
        said = (group, status.member, status.role, status.term, status.last_index, end - status.last_index, address)
        rows[status.member] = ReplicaRow(*said, lag_ms, bytes_behind)
    for member in followers.keys() - rows.keys():
        one = followers[member]
        term = leader.term if leader else 0
        known = (group, member, SILENT, term, one.last_index, end - one.last_index, one.address or "")
        rows[member] = ReplicaRow(*known, one.lag_ms, one.bytes_behind)
    return [rows[member] for member in sorted(rows)]
