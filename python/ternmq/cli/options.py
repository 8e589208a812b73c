"""Options that many commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from ternmq import local
from ternmq.cli.output import FORMATS, Output

Command = TypeVar("Command", bound=Callable[..., Any])


def with_output(command: Command) -> Command:
    """Give a command ``--json``, ``--output``, ``--quiet`` and ``--debug``; it receives one `Output` as ``out``."""

    @click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error.")
    @click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
    @click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
    @click.option("--output", "-o", type=click.Choice(FORMATS), help="Table on a terminal, else tsv.")
    @functools.wraps(command)
    def wrapped(*args: Any, output: str | None, as_json: bool, quiet: bool, **kwargs: Any) -> Any:
        if as_json and output not in (None, "json"):
            raise click.UsageError(f"--json and --output {output} exclude each other")
        return command(*args, out=Output("json" if as_json else output, quiet=quiet), **kwargs)

    return wrapped  # type: ignore[return-value]  # click's decorators return a function with the same use


def with_endpoints(command: Command) -> Command:
    """Give a command ``--endpoints`` and ``--data``, the two ways to name a cluster."""
    command = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of a local cluster whose NameServers are asked.",
    )(command)
    return click.option(
        "--endpoints",
        "-n",
        metavar="HOST:PORT;...",
        help="NameServers; else TERNMQ_ENDPOINTS, NAMESRV_ADDR, or the local cluster.",
    )(command)


def with_data(command: Command) -> Command:
    """Give a command ``--data``; without it the folder of the nearest local cluster, here or above."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda _ctx, _parameter, given: given or local.find_folder() or Path(local.FOLDER),
        help=f"Folder of the local cluster; else {local.FOLDER} here or in a folder above.",
    )(command)


def with_new_data(command: Command) -> Command:
    """Give a command ``--data`` with the usual folder here as default."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(local.FOLDER),
        show_default=True,
        help="Folder of the local cluster.",
    )(command)
