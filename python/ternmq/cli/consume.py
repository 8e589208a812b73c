"""``ternmq consume``: messages become lines on stdout."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ternmq.cli import failures
from ternmq.cli.messages import FORMATS
from ternmq.cli.options import with_endpoints
from ternmq.cli.output import Output
from ternmq.wording import counted


@click.command()
@click.argument("topic")
@click.option("--group", help="Read as a member of this group, which shares the topic and remembers where it stopped.")
@click.option(
    "--from",
    "start",
    type=click.Choice(["earliest", "latest"]),
    default="latest",
    show_default=True,
    help="Where reading begins; a group that has read this topic before goes on where it stopped.",
)
@click.option("--filter", "tags", default="*", show_default=True, help="Tags, such as 'paid || refund'.")
@click.option("--count", type=click.IntRange(1), help="End after so many messages.")
@click.option("--idle", type=click.FloatRange(0, min_open=True), help="End after so many seconds without a message.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Of a line.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error.")
@with_endpoints
def consume(
    topic: str,
    group: str | None,
    start: str,
    tags: str,
    count: int | None,
    idle: float | None,
    form: str,
    as_json: bool,
    quiet: bool,
    endpoints: str | None,
    data: Path | None,
) -> int:
    """Print messages of TOPIC as they come; exits with 1 if --idle ends it before --count.

    Without --group it is a viewer: it sees everything from --from on, whoever else reads, and the cluster keeps nothing
    of it. With --group each message is acknowledged, and the members of the group share the topic.

    SIGTERM or Ctrl-C ends it: a member commits what it has printed, it says how many messages that were, and exits with
    143 or 130. A second one does not wait.
    """
    import asyncio

    from ternmq.cli.endpoints import find_endpoints
    from ternmq.cli.message_printer import MessagePrinter

    out = Output(quiet=quiet)
    printer = MessagePrinter(
        topic=topic,
        group=group,
        from_earliest=start == "earliest",
        tags=tags,
        count=count,
        idle_s=idle,
        jsonl=form == "jsonl" or as_json,
        out=out,
    )
    number = asyncio.run(printer.run(find_endpoints(endpoints, data)))
    printed = counted(printer.printed, "message")
    if number is not None:
        out.note(f"{printed}; ended by {number.name}")
        return failures.signalled(number)
    out.note(printed)
    return failures.OK if count is None or printer.printed == count else failures.NEGATIVE
