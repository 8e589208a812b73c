"""``ternmq cluster health`` and ``ternmq broker raft``: is everything as it should be, and how is each replica."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ternmq.cli import failures
from ternmq.cli.options import with_endpoints, with_output
from ternmq.cli.output import Output

if TYPE_CHECKING:
    from ternmq.admin import ReplicaRow, ReplicaStatus
    from ternmq.client import Client

HEALTH_SCHEMA = "ternmq.cluster.health/1"
RAFT_SCHEMA = "ternmq.broker.raft/1"
# As many as a terminal of 80 columns takes; JSON has all.
_RAFT_COLUMNS = ("replica", "role", "term", "role_s", "last_index", "bytes_behind", "lag_ms", "cause")


@click.command("health")
@click.option(
    "--topology",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What should be there; of a local cluster it is known.",
)
@with_endpoints
@with_output
def health(topology: Path | None, endpoints: str | None, data: Path | None, out: Output) -> int:
    """Say whether everything is as it should be, and what is not; exits with 1 if something is not.

    NameServers show who is there, and the replicas say how they are. A group that is gone as a whole is missed only if
    the topology is known.
    """
    from dataclasses import asdict

    from ternmq import admin
    from ternmq.cli.endpoints import expected_replicas
    from ternmq.cli.with_client import with_client
    from ternmq.remoting import open_endpoint

    expected = expected_replicas(topology, endpoints, data)

    async def work(client: Client) -> list[admin.Finding]:
        endpoint = open_endpoint()
        try:
            views = await client.admin.cluster_views()
            return await admin.look_at_health(endpoint, client.nameservers, views, expected)
        finally:
            await endpoint.close()

    findings = with_client(endpoints, data, work)
    is_healthy = all(finding.level == "ok" for finding in findings)
    out.items(HEALTH_SCHEMA, [asdict(finding) for finding in findings], summary={"healthy": is_healthy})
    return failures.OK if is_healthy else failures.NEGATIVE


async def ask_members(client: Client, group: str | None) -> dict[str, dict[str, ReplicaStatus]]:
    """Ask the replicas of a group, or of all, that a NameServer shows; those that do not answer are left out.

    Args:
        client: knows the NameServers.
        group: broker group; None for all.

    Returns:
        Group to address to what the replica says.
    """
    from ternmq import admin
    from ternmq.remoting import open_endpoint

    endpoint = open_endpoint()
    try:
        shown = await client.admin.cluster_info()
        names = sorted(shown.brokers) if group is None else [group]
        return {name: await admin.group_members(endpoint, shown, name) for name in names}
    finally:
        await endpoint.close()


@click.group()
def broker() -> None:
    """Single replicas, as they say themselves how they are."""


@broker.command("raft")
@click.argument("group", required=False)
@with_endpoints
@with_output
def raft(group: str | None, endpoints: str | None, data: Path | None, out: Output) -> int:
    """Show each replica of GROUP, or of all groups: role, term, how far it is, whom it reaches, its last election.

    `cause` is why the leader stood. Exits with 1 if a group has no leader, or a member of it does not answer.
    """
    from ternmq import admin
    from ternmq.cli.with_client import with_client

    async def work(client: Client) -> dict[str, dict[str, ReplicaStatus]]:
        return await ask_members(client, group)

    items: list[dict[str, Any]] = []
    is_healthy = True
    for name, members in with_client(endpoints, data, work).items():
        lags = {row.member: row for row in admin.replica_rows(name, members)}
        statuses = {status.member: status for status in members.values()}
        known = {member for status in members.values() for member in status.members} | lags.keys()
        is_healthy &= known == statuses.keys() and any(status.role == "leader" for status in members.values())
        items.extend(_raft_row(name, member, lags.get(member), statuses.get(member)) for member in sorted(known))
    out.items(RAFT_SCHEMA, items, columns=_RAFT_COLUMNS, summary={"healthy": is_healthy})
    return failures.OK if is_healthy else failures.NEGATIVE


def _raft_row(group: str, member: str, lag: ReplicaRow | None, status: ReplicaStatus | None) -> dict[str, Any]:
    election = status.election if status is not None and status.role == "leader" else None
    disk = status.disk if status is not None else None
    return {
        "replica": f"{group}/{member}",
        "group": group,
        "member": member,
        "role": status.role if status else "silent",
        "term": status.term if status else None,
        "role_s": round(status.role_ms / 1000, 1) if status else None,
        "leader": status.leader if status else None,
        "leaderless_ms": status.leaderless_ms if status else None,
        "last_index": status.last_index if status else None,
        "last_position": status.last_position if status else None,
        "applied_index": status.applied_index if status else None,
        "bytes_behind": lag.bytes_behind if lag else None,
        "lag_ms": lag.lag_ms if lag else None,
        "in_reach": list(status.in_reach) if status else None,
        "cause": election.cause if election else None,
        "elected_at_ms": election.at_ms if election else None,
        "disk_free_gib": round(disk.free_bytes / (1 << 30), 1) if disk else None,
        "disk_condition": status.disk_condition if status else None,
        "rot_detected": status.rot_detected if status else None,
        "state_hash": status.state_hash if status else None,
        "address": lag.address if lag else None,
    }
