"""``ternmq cluster``: info, transfer-leader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ternmq.cli.options import with_endpoints, with_output
from ternmq.cli.output import Output

if TYPE_CHECKING:
    from ternmq.client import Client

INFO_SCHEMA = "ternmq.cluster.info/1"
TRANSFER_SCHEMA = "ternmq.cluster.transfer-leader/1"


@click.group()
def cluster() -> None:
    """The cluster as its NameServers see it."""


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
