"""``ternmq produce``: lines from stdin become messages."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ternmq.cli import failures
from ternmq.cli.messages import FORMATS, Outgoing
from ternmq.cli.options import with_endpoints, with_output
from ternmq.cli.output import Output

SCHEMA = "ternmq.produce/1"


@click.command()
@click.argument("topic")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Of a line.")
@click.option("--key", help="Index key, by which messages can be found.")
@click.option("--tag", help="One word, by which consumers filter.")
@click.option("--shard", help="Messages with the same shard keep their order.")
@click.option("--group", default="ternmq-produce", show_default=True, help="Name of the producer group.")
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds for each message.")
@with_endpoints
@with_output
def produce(
    topic: str,
    form: str,
    key: str | None,
    tag: str | None,
    shard: str | None,
    group: str,
    timeout: float,
    endpoints: str | None,
    data: Path | None,
    out: Output,
) -> int:
    """Send each line of stdin to TOPIC as a message; exits with 1 if one was refused or its outcome is unknown.

    SIGTERM or Ctrl-C ends it: what it has read is sent and answered, the sums are printed, and it exits with 143 or
    130. A second one does not wait.
    """
    import asyncio

    from ternmq.cli.endpoints import find_endpoints
    from ternmq.cli.line_sender import LineSender

    defaults = Outgoing(b"", tag, shard, [] if key is None else [key])
    work = LineSender(topic, form, defaults, out)
    number = asyncio.run(work.run(find_endpoints(endpoints, data), group, timeout))
    out.items(SCHEMA, [work.summary()])
    if number is not None:
        out.note(f"ended by {number.name}")
        return failures.signalled(number)
    return failures.OK if not work.unacknowledged else failures.NEGATIVE
