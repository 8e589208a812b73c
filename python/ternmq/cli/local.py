"""The local cluster: ``up``, ``ps``, ``down``, ``kill-leader``, ``start``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ternmq.cli import failures
from ternmq.cli.options import with_data, with_new_data, with_output
from ternmq.cli.output import Output
from ternmq.cli.progress import Progress
from ternmq.local import FOLDER, MODES

if TYPE_CHECKING:
    from ternmq.cluster.launch import LaunchOptions
    from ternmq.cluster.supervisor import Supervisor

PS_SCHEMA = "ternmq.ps/1"
KILL_SCHEMA = "ternmq.kill-leader/1"
START_SCHEMA = "ternmq.start/1"


def _with_launch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--no-restart", is_flag=True, help="Leave nodes dead that die."),
        click.option("--base-port", type=click.IntRange(1024, 32767), help="Where ports start, else 9876 and 10911."),
        click.option(
            "--flush",
            type=click.Choice(["sync", "async"]),
            help="When a message counts as written; sync in a new cluster, and always in mode raft.",
        ),
        click.option("--mode", type=click.Choice(list(MODES)), help="How groups replicate; raft in a new cluster."),
        click.option("--groups", type=click.IntRange(1, 26), help="Broker groups; 2 in a new cluster."),
    ):
        command = option(command)
    return with_new_data(command)


def _options(no_restart: bool, layout: dict[str, Any]) -> LaunchOptions:
    from ternmq.cluster.blueprint import Layout
    from ternmq.cluster.launch import LaunchOptions

    return LaunchOptions(Layout(**layout), restart=not no_restart)


@click.command()
@_with_launch_options
@click.option("--detach", "-d", is_flag=True, help="Return when it is ready; it runs on in the background.")
@with_output
def up(data: Path, no_restart: bool, detach: bool, out: Output, **layout: Any) -> int | None:
    """Start a cluster on this machine: three NameServers and two broker groups, a process for each node.

    A group has three replicas that elect their master, and with another --mode a master alone, or a master and a slave.

    A folder that holds a cluster is continued. Without --detach it runs until Ctrl-C, which drains; a second one kills.
    With --detach a cluster that runs already is shown, and that is no failure.
    """
    from ternmq.cluster.layout import DataDir

    folder = DataDir.at(data)
    options = _options(no_restart, layout)
    if detach:
        from ternmq.cluster.detach import start_or_join

        with Progress(out, "starting") as progress:
            items, began = start_or_join(folder, options, progress.say)
            progress.close(keep_last=True)
        out.items(PS_SCHEMA, items)
        _say_what_next(items, out)
        named = "" if data == Path(FOLDER) else f" --data {shlex.quote(str(data))}"
        out.note(f"it {began} in the background; `ternmq down{named}` stops it")
        return None
    return _run_here(folder, options, out)


def _say_what_next(items: list[dict[str, Any]], out: Output) -> None:
    """Give a person what they need next: the endpoints for a shell, and two commands to try."""
    endpoints = ";".join(item["address"] for item in items if item["kind"] == "namesrv")
    out.note(f"export TERNMQ_ENDPOINTS='{endpoints}'   # for commands and programs in other folders")
    out.note("try: echo hello | ternmq produce orders")
    out.note("     ternmq consume orders --from earliest --count 1")


def _run_here(folder: Any, options: LaunchOptions, out: Output) -> int:
    import asyncio

    from ternmq.cluster.launch import run_until_stopped

    with Progress(out, "starting") as progress:

        async def on_ready(supervisor: Supervisor) -> None:
            progress.close(keep_last=True)
            items = await supervisor.ps()
            out.items(PS_SCHEMA, items)
            _say_what_next(items, out)
            out.note(f"logs in {folder.logs}; Ctrl-C stops it")

        interrupted = asyncio.run(run_until_stopped(folder, options, progress.say, on_ready))
    return failures.INTERRUPTED if interrupted else failures.OK


@click.command(hidden=True)
@_with_launch_options
@click.option("--report-fd", type=int, required=True, help="Pipe to the command that started this one.")
def supervise(data: Path, no_restart: bool, report_fd: int, **layout: Any) -> None:
    """Be the background process of `up --detach`."""
    from ternmq.cluster.detach import run_detached
    from ternmq.cluster.layout import DataDir

    run_detached(DataDir.at(data), _options(no_restart, layout), report_fd)


@click.command()
@with_data
@with_output
def ps(data: Path, out: Output) -> None:
    """List the nodes of the local cluster: pid, address, role."""
    from ternmq.cluster import requests

    out.items(PS_SCHEMA, _ask(data, {"command": requests.PS}, out))


@click.command()
@with_data
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error.")
def down(data: Path, quiet: bool) -> None:
    """Stop the local cluster; what it stored stays in its folder."""
    from ternmq.cluster.layout import DataDir
    from ternmq.cluster.stopping import stop_cluster

    with Progress(Output(quiet=quiet), "stopping") as progress:
        stop_cluster(DataDir.at(data), progress.say)
        progress.close(keep_last=True)


@click.command("kill-leader")
@click.argument("group", required=False)
@with_data
@with_output
def kill_leader(group: str | None, data: Path, out: Output) -> None:
    """Kill (SIGKILL) the master of GROUP, or of the first group; it stays dead until `ternmq start NODE`."""
    from ternmq.cluster import requests

    items = _ask(data, {"command": requests.KILL_LEADER, "group": group}, out)
    out.items(KILL_SCHEMA, items)
    for item in items:
        out.note(f"`ternmq start {item['name']}` brings it back")


@click.command()
@click.argument("nodes", metavar="[NODE]...", nargs=-1)
@with_data
@with_output
def start(nodes: tuple[str, ...], data: Path, out: Output) -> None:
    """Start nodes of the local cluster, such as ns1 or group-a/n0, and wait until they take part.

    Without a NODE all that are dead are started.
    """
    from ternmq.cluster import requests

    with Progress(out, f"starting {', '.join(nodes) or 'all that are dead'}"):
        items = _ask(data, {"command": requests.START, "nodes": nodes}, out)
    if not items:
        out.note("all nodes run")
    out.items(START_SCHEMA, items)


def _ask(data: Path, request: dict[str, Any], out: Output) -> list[dict[str, Any]]:
    from ternmq.cluster.control import ask
    from ternmq.cluster.layout import DataDir

    return ask(DataDir.at(data).control, request, report=out.note)
