"""Entry of the command line: finds the command, runs it, turns what goes wrong into a sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import rich_click as click
from click.exceptions import NoSuchOption

from ternmq.cli import failures
from ternmq.cli.lazy import LazyGroup
from ternmq.cli.streams import prepare_streams

_OF_COMMANDS = frozenset({"--json", "--output", "-o", "--quiet", "-q", "--debug", "--data", "--endpoints", "-n"})
"""Options of nearly every command, which people write before it."""

COMMANDS = {
    "up": "ternmq.cli.local:up",
    "ps": "ternmq.cli.local:ps",
    "down": "ternmq.cli.local:down",
    "kill-leader": "ternmq.cli.local:kill_leader",
    "start": "ternmq.cli.local:start",
    "demo": "ternmq.cli.demo:demo",
    "run": "ternmq.cli.run:run",
    "cluster": "ternmq.cli.cluster:cluster",
    "broker": "ternmq.cli.health:broker",
    "export": "ternmq.cli.export:export",
    "topic": "ternmq.cli.topic:topic",
    "produce": "ternmq.cli.produce:produce",
    "consume": "ternmq.cli.consume:consume",
    "supervise": "ternmq.cli.local:supervise",
}


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ternmq import __version__

        click.echo(f"ternmq {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    hidden=frozenset({"supervise"}),
    context_settings={"help_option_names": ["--help", "-h"]},
)
@click.option(
    "--version", "-V", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show it."
)
def cli() -> None:
    """A message queue that speaks the RocketMQ protocol: NameServers, Raft broker groups, clients.

    `ternmq up` starts a cluster on this machine; `ternmq demo` shows one that survives kills.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit code: 0 ok, 1 negative answer, 2 usage or configuration, 3 unreachable, 130 interrupted, 143 ended by
        SIGTERM after draining.
    """
    debug = "--debug" in arguments
    try:
        result: Any = cli.main(args=list(arguments), prog_name="ternmq", standalone_mode=False)
    except click.Abort:
        return failures.report(KeyboardInterrupt(), debug=False)
    except click.ClickException as error:
        return failures.report(_usage(error, arguments), debug=False)
    except BrokenPipeError:
        return failures.forget_broken_pipe()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        return failures.report(error, debug=debug)
    return result if isinstance(result, int) else failures.OK


def _usage(error: click.ClickException, arguments: Sequence[str]) -> failures.CommandError:
    """Say what is wrong with a command line in the form of all other errors."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    # Click's parser does not say which command it read for.
    path = _path_of(arguments) if context is None else context.command_path
    if isinstance(error, NoSuchOption) and error.option_name in _OF_COMMANDS and _is_group(context):
        behind = next((word for word in arguments if word in COMMANDS), "COMMAND") if path == "ternmq" else "COMMAND"
        return failures.CommandError(
            f"{error.option_name} stands before the command it belongs to",
            f"`{path} {behind} {error.option_name}`",
            code=error.exit_code,
        )
    return failures.CommandError(error.format_message(), f"`{path} --help`", code=error.exit_code)


def _is_group(context: click.Context | None) -> bool:
    return context is not None and isinstance(context.command, click.Group)


def _path_of(arguments: Sequence[str]) -> str:
    """Name the command that a command line asks for."""
    command: click.Command | None = cli
    words = ["ternmq"]
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
        if command is not None:
            words.append(word)
    return " ".join(words)


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    prepare_streams()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
