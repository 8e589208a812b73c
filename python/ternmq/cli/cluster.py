"""``ternmq cluster``: info, health, replicas, transfer-leader, promote, set-aside; the rest is in `scale_out`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ternmq.cli import scale_out
from ternmq.cli.health import ask_members, health
from ternmq.cli.options import with_endpoints, with_output
from ternmq.cli.output import Output

if TYPE_CHECKING:
    from ternmq.client import Client

INFO_SCHEMA = "ternmq.cluster.info/1"
REPLICAS_SCHEMA = "ternmq.cluster.replicas/1"
TRANSFER_SCHEMA = "ternmq.cluster.transfer-leader/1"
PROMOTE_SCHEMA = "ternmq.cluster.promote/1"


@click.group()
def cluster() -> None:
    """The cluster as its NameServers see it, its groups, and who leads them."""


for _command in (health, scale_out.add_group, scale_out.rebalance, scale_out.drain_group, scale_out.remove_group):
    cluster.add_command(_command)


@cluster.command("info")
@with_endpoints
@with_output
def info(endpoints: str | None, data: Path | None, out: Output) -> int:
    """List the members of every group; NameServers that show something else are named. Exits with 1 if none are."""
    from ternmq.cli import failures
    from ternmq.cli.with_client import with_client

    asked: list[str] = []

    async def work(client: Client) -> list[dict[str, Any]]:
        views = await client.admin.cluster_views()
        asked.extend(view.nameserver for view in views)
        shown: dict[tuple[str, str, int, str], list[str]] = {}
        for view in views:
            for group in view.brokers.values():
                for ident, address in group.addresses.items():
                    shown.setdefault((group.cluster, group.name, ident, address), []).append(view.nameserver)
        return [
            {
                "cluster": cluster_name,
                "group": group_name,
                "broker_id": ident,
                "role": "leader" if ident == 0 else "follower",
                "address": address,
                "nameservers": nameservers,
            }
            for (cluster_name, group_name, ident, address), nameservers in sorted(shown.items())
        ]

    items = with_client(endpoints, data, work)
    if items or out.chosen in ("json", "jsonl"):
        out.items(INFO_SCHEMA, items)
    if items:
        return failures.OK
    raise failures.CommandError(
        f"no broker has registered with {', '.join(asked)}",
        "start brokers; those of a new group register when all its members have met, and say in their logs whom they"
        " wait for (`founding …: waiting for …`)",
    )


@cluster.command("replicas")
@click.argument("group", required=False)
@with_endpoints
@with_output
def replicas(group: str | None, endpoints: str | None, data: Path | None, out: Output) -> None:
    """List how far the members of GROUP are, or of all groups, as they say themselves.

    Of one that does not answer (silent) its leader tells. `lag_ms` is for how long a member has lacked something that
    its leader has: 0 while it has everything, however old that is.
    """
    from dataclasses import asdict

    from ternmq import admin
    from ternmq.cli.with_client import with_client

    async def work(client: Client) -> list[dict[str, Any]]:
        groups = await ask_members(client, group)
        return [asdict(row) for name, members in groups.items() for row in admin.replica_rows(name, members)]

    out.items(REPLICAS_SCHEMA, with_client(endpoints, data, work))


@cluster.command("transfer-leader")
@click.argument("group")
@click.option("--to", "member", help="Member id of the new leader, such as n1; else the most complete one.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Seconds.")
@with_endpoints
@with_output
def transfer_leader(
    group: str, member: str | None, timeout: float, endpoints: str | None, data: Path | None, out: Output
) -> None:
    """Hand the leadership of GROUP to another member; returns when that member leads."""
    from ternmq import admin
    from ternmq.cli.progress import Progress
    from ternmq.cli.with_client import with_client
    from ternmq.remoting import open_endpoint

    async def work(client: Client) -> dict[str, Any]:
        endpoint = open_endpoint()
        try:
            shown = await client.admin.cluster_info()
            transfer = await admin.transfer_leader(endpoint, shown, group, member, within_s=timeout)
        finally:
            await endpoint.close()
        return {
            "group": transfer.group,
            "old_leader": f"{transfer.group}/{transfer.old_leader}",
            "new_leader": f"{transfer.group}/{transfer.new_leader}",
            "term": transfer.term,
            "duration_ms": round(transfer.duration_s * 1000),
        }

    with Progress(out, f"handing over {group}"):
        item = with_client(endpoints, data, work)
    out.items(TRANSFER_SCHEMA, [item])


@cluster.command("promote")
@click.argument("group")
@click.argument("member")
@click.option("--force", is_flag=True, help="Accept that what the master alone had is lost.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Seconds.")
@with_endpoints
@with_output
def promote(
    group: str, member: str, force: bool, timeout: float, endpoints: str | None, data: Path | None, out: Output
) -> None:
    """Make the slave MEMBER the master of GROUP, whose master is gone; returns when it leads.

    What the master had stored last may not be on the slave, so nothing is done without --force. When the old master
    comes back it follows, and sets aside in a file what it alone has. A master that lives hands over without loss:
    `ternmq cluster transfer-leader`.
    """
    from datetime import UTC, datetime

    from ternmq import admin
    from ternmq.cli.progress import Progress
    from ternmq.cli.with_client import with_client
    from ternmq.remoting import open_endpoint

    async def work(client: Client) -> dict[str, Any]:
        endpoint = open_endpoint()
        try:
            shown = await client.admin.cluster_info()
            promotion = await admin.promote_slave(endpoint, shown, group, member, force=force, within_s=timeout)
        finally:
            await endpoint.close()
        stored = datetime.fromtimestamp(promotion.stored_ms / 1000, UTC)
        return {
            "group": promotion.group,
            "new_master": f"{promotion.group}/{promotion.master}",
            "term": promotion.term,
            "has_all_until": stored.isoformat(timespec="milliseconds"),
            "last_index": promotion.last_index,
            "duration_ms": round(promotion.duration_s * 1000),
        }

    with Progress(out, f"promoting {group}/{member}"):
        item = with_client(endpoints, data, work)
    out.items(PROMOTE_SCHEMA, [item])
    out.note(
        f"it has everything up to frame {item['last_index']}, stored {item['has_all_until']}; what the old master"
        " stored after that is lost to the group, and set aside in its data directory when it comes back"
    )


@cluster.command("set-aside")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def set_aside(file: Path) -> None:
    """Print the messages of FILE, which a former master has set aside, as the JSON lines that `ternmq produce` reads.

    Such a file is in the folder `set-aside` of a replica's data directory, and its log names it. Nothing is sent: look
    at them first, then `ternmq produce TOPIC --format jsonl`.
    """
    import json

    from ternmq.client.set_aside import read_set_aside

    for message in read_set_aside(file):
        click.echo(json.dumps(message, ensure_ascii=False))
