"""``ternmq topic``: list, create, route."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ternmq.cli.options import with_endpoints, with_output
from ternmq.cli.output import Output

if TYPE_CHECKING:
    from ternmq.client import Client

LIST_SCHEMA = "ternmq.topic.list/1"
CREATE_SCHEMA = "ternmq.topic.create/1"
ROUTE_SCHEMA = "ternmq.topic.route/1"


@click.group()
def topic() -> None:
    """Topics: list, create, find out where they lie."""


@topic.command("list")
@click.option("--all", "show_system", is_flag=True, help="System, retry and dead-letter topics too.")
@with_endpoints
@with_output
def list_topics(show_system: bool, endpoints: str | None, data: Path | None, out: Output) -> None:
    """List topics with their groups and queues."""
    import asyncio

    from ternmq.cli.with_client import with_client
    from ternmq.protocol.names import belongs_to_brokers

    async def work(client: Client) -> list[dict[str, Any]]:
        names = await client.admin.topics()
        if not show_system:
            own = await _own_names(client)
            names = [name for name in names if not belongs_to_brokers(name, own)]
        return list(await asyncio.gather(*(_row(client, name) for name in names)))

    out.items(LIST_SCHEMA, with_client(endpoints, data, work))


@topic.command("create")
@click.argument("name")
@click.option(
    "--queues", type=click.IntRange(1, 1024), default=8, show_default=True, help="On each group, to read and to write."
)
@click.option("--type", "kind", type=click.Choice(["normal", "fifo"]), default="normal", show_default=True)
@click.option("--if-exists", type=click.Choice(["error", "ok"]), default="error", show_default=True)
@click.option("--cluster", help="Whose groups; may be left out where there is one cluster.")
@with_endpoints
@with_output
def create_topic(
    name: str,
    queues: int,
    kind: str,
    if_exists: str,
    cluster: str | None,
    endpoints: str | None,
    data: Path | None,
    out: Output,
) -> None:
    """Create topic NAME on every group of the cluster."""
    from ternmq.cli.with_client import with_client

    async def work(client: Client) -> dict[str, Any]:
        await client.admin.create_topic(
            name,
            queues=queues,
            type="fifo" if kind == "fifo" else "normal",
            if_exists="ok" if if_exists == "ok" else "error",
            cluster=cluster,
        )
        return await _row(client, name)

    out.items(CREATE_SCHEMA, [with_client(endpoints, data, work)])


@topic.command("route")
@click.argument("name")
@with_endpoints
@with_output
def show_route(name: str, endpoints: str | None, data: Path | None, out: Output) -> None:
    """Show which groups hold topic NAME, with their masters and other members."""
    from ternmq.cli.with_client import with_client

    async def work(client: Client) -> list[dict[str, Any]]:
        route = await client.admin.route(name)
        return [
            {
                "group": group,
                "read_queues": counts.read,
                "write_queues": counts.write,
                "perm": _perm(counts.perm),
                "master": route.brokers.get(group, {}).get(0),
                "members": {str(ident): address for ident, address in sorted(route.brokers.get(group, {}).items())},
            }
            for group, counts in route.groups.items()
        ]

    out.items(ROUTE_SCHEMA, with_client(endpoints, data, work))


async def _own_names(client: Client) -> set[str]:
    """Name clusters and broker groups."""
    brokers = (await client.admin.cluster_info()).brokers
    return set(brokers) | {group.cluster for group in brokers.values()}


async def _row(client: Client, name: str) -> dict[str, Any]:
    """Sum a topic up; one that is deleted meanwhile, or lies nowhere, has no groups."""
    from ternmq.errors import RouteNotFoundError

    try:
        groups = (await client.admin.route(name)).groups
    except RouteNotFoundError:
        groups = {}
    return {
        "name": name,
        "groups": list(groups),
        "read_queues": sum(counts.read for counts in groups.values()),
        "write_queues": sum(counts.write for counts in groups.values()),
    }


def _perm(bits: int) -> str:
    return f"{'r' if bits & 4 else '-'}{'w' if bits & 2 else '-'}"
