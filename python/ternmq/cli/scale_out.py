"""``ternmq cluster``: add-group, rebalance, drain-group, remove-group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ternmq.cli import failures
from ternmq.cli.options import with_data, with_endpoints, with_output
from ternmq.cli.output import Output
from ternmq.cli.progress import Progress

if TYPE_CHECKING:
    from ternmq.admin import GroupMasters, RebalancePlan
    from ternmq.client import Client

ADD_SCHEMA = "ternmq.cluster.add-group/1"
REBALANCE_SCHEMA = "ternmq.cluster.rebalance/1"
DRAIN_SCHEMA = "ternmq.cluster.drain-group/1"
REMOVE_SCHEMA = "ternmq.cluster.remove-group/1"


@click.command("add-group")
@click.argument("group", required=False)
@with_data
@with_output
def add_group(group: str | None, data: Path, out: Output) -> None:
    """Start one more group of the local cluster, GROUP or the next letter; returns when it takes messages.

    It is laid out as the first group is. Topics do not spread to it by themselves: `ternmq cluster rebalance`.
    """
    from ternmq.cluster import requests
    from ternmq.cluster.control import ask
    from ternmq.cluster.layout import DataDir

    with Progress(out, "starting") as progress:
        items = ask(DataDir.at(data).control, {"command": requests.ADD_GROUP, "group": group}, report=progress.say)
    out.items(ADD_SCHEMA, items)
    out.note("`ternmq cluster rebalance` shows how topics would be spread over it")


@click.command("rebalance")
@click.argument("topics", metavar="[TOPIC]...", nargs=-1)
@click.option("--yes", "-y", is_flag=True, help="Carry the plan out.")
@click.option("--cluster", "wanted", help="Whose groups; may be left out where there is one cluster.")
@with_endpoints
@with_output
def rebalance(
    topics: tuple[str, ...], yes: bool, wanted: str | None, endpoints: str | None, data: Path | None, out: Output
) -> None:
    """Show how topics, all or those named, would be spread over all groups that take messages; --yes does it.

    A topic gets as many queues on each group as it has where it has most. No message moves, and ordered topics stay
    where they are.
    """
    from ternmq import admin
    from ternmq.cli.with_client import with_client

    with Progress(out, "spreading" if yes else "looking") as progress:

        async def work(client: Client) -> RebalancePlan:
            async with admin.group_masters(client) as masters:
                names = admin.cluster_groups(masters.cluster, wanted)
                contents = await admin.read_all_contents(masters, names)
                plan = admin.plan_rebalance(contents, admin.own_names(masters.cluster), topics or None)
                if yes:
                    await admin.carry_out(masters, plan, progress.say)
                return plan

        plan = with_client(endpoints, data, work)
    out.items(REBALANCE_SCHEMA, _plan_items(plan), summary={"done": yes})
    if not plan.copies and not plan.widenings:
        out.note("nothing to do: every topic that may be spread is on every group that takes messages")
    elif not yes:
        out.note("nothing was changed; `--yes` carries this out")


def _plan_items(plan: RebalancePlan) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [
        {"step": "copy", "name": step.config.group_name, "group": step.group, "queues": None, "reason": None}
        for step in plan.copies
    ]
    items += [
        {
            "step": "widen",
            "name": step.config.topic_name,
            "group": step.group,
            "queues": len(step.new_queues),
            "reason": None,
        }
        for step in plan.widenings
    ]
    items += [
        {"step": "stay", "name": stays.topic, "group": list(stays.groups), "queues": None, "reason": stays.reason}
        for stays in plan.stays
    ]
    return items


@click.command("drain-group")
@click.argument("group")
@click.option("--undo", is_flag=True, help="Let GROUP take messages again.")
@click.option("--force", is_flag=True, help="Also where a topic would have no other group, or is ordered.")
@click.option("--timeout", type=click.FloatRange(0), default=300.0, show_default=True, help="Seconds for consumers.")
@with_endpoints
@with_output
def drain_group(
    group: str, undo: bool, force: bool, timeout: float, endpoints: str | None, data: Path | None, out: Output
) -> int:
    """Empty GROUP, so that it can be taken away: returns when all that it holds is read.

    NameServers show it as read-only, so producers go to other groups when they next ask for routes, within 30 s. When
    no more comes, sends are rejected. Then consumers finish; what they have not read in time is listed, and the command
    ends with 1. Run it again to go on waiting.
    """
    from ternmq import admin
    from ternmq.cli.with_client import with_client
    from ternmq.errors import NotDrainedError

    with Progress(out, f"{'opening' if undo else 'draining'} {group}") as progress:

        async def work(client: Client) -> list[admin.Unread]:
            async with admin.group_masters(client) as masters:
                if undo:
                    await admin.set_read_only(masters, group, read_only=False)
                    return []
                names = admin.groups_beside(masters.cluster, group)
                contents = await admin.read_all_contents(masters, names)
                against = admin.why_not_drained(group, contents, admin.own_names(masters.cluster))
                if against and not force:
                    raise NotDrainedError(f"{group} is needed: {'; '.join(against)}. --force drains it all the same")
                return await _drained(masters, names)

        async def _drained(masters: GroupMasters, names: list[str]) -> list[admin.Unread]:
            await admin.set_read_only(masters, group, read_only=True)
            await admin.reject_sends_when_quiet(masters, group, progress.say)
            return await admin.wait_until_read(masters, group, names, progress.say, within_s=timeout)

        unread = with_client(endpoints, data, work)
    items = [
        {"group": group, "topic": row.topic, "consumer_group": row.consumer_group, "unread": row.messages}
        for row in unread
    ]
    out.items(DRAIN_SCHEMA, items, summary={"drained": not undo and not unread})
    if undo:
        out.note(f"{group} takes messages again")
    elif not unread:
        out.note(f"{group} is empty: it can be stopped, a local one by `ternmq cluster remove-group {group}`")
    return failures.NEGATIVE if unread else failures.OK


@click.command("remove-group")
@click.argument("group")
@click.option("--force", is_flag=True, help="Also if it takes messages, or some are unread.")
@with_data
@with_output
def remove_group(group: str, force: bool, data: Path, out: Output) -> None:
    """Stop GROUP of the local cluster, which must be drained, and take it out of the topology; its files stay."""
    from ternmq import admin
    from ternmq.cli.with_client import with_client
    from ternmq.cluster import requests
    from ternmq.cluster.control import ask
    from ternmq.cluster.layout import DataDir

    async def check(client: Client) -> None:
        async with admin.group_masters(client) as masters:
            await admin.check_drained(masters, group, admin.groups_beside(masters.cluster, group))

    if not force:
        with_client(None, data, check)
    with Progress(out, f"stopping {group}") as progress:
        request = {"command": requests.REMOVE_GROUP, "group": group}
        items = ask(DataDir.at(data).control, request, report=progress.say)
    out.items(REMOVE_SCHEMA, items)
    out.note(f"its files are in {DataDir.at(data).of_group(group)}")
