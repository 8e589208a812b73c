"""``ternmq demo``: a cluster that loses a master and two NameServers, and no message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from ternmq.cli import failures
from ternmq.cli.options import with_output
from ternmq.cli.output import Output
from ternmq.local import MODES

if TYPE_CHECKING:
    from ternmq.cluster.demo.display import Display
    from ternmq.cluster.demo.report import Figures
    from ternmq.config.topology import Mode

SCHEMA = "ternmq.demo/1"
_PROBLEMS_SHOWN = 10
_SUMMARY = ("mode", "acknowledged", "delivered", "lost")


@click.command()
@click.option("--seconds", type=click.FloatRange(2), default=14.0, show_default=True, help="How long the load runs.")
@click.option("--mode", type=click.Choice(list(MODES)), default="raft", show_default=True, help="How groups replicate.")
@click.option("--base-port", type=click.IntRange(1024, 32767), help="Where ports start, else 9876 and 10911.")
@with_output
def demo(seconds: float, mode: Mode, base_port: int | None, out: Output) -> int:
    """Start 3 NameServers and 2 groups, send and consume, kill a master and two NameServers, and check.

    Exits with 0 only if every promise of the mode was kept: nothing that was acknowledged is missing, in raft the order
    of each key was kept, in sync-double-write nothing acknowledged was on the killed master alone.
    """
    import asyncio
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ternmq-demo-") as folder, _display(out) as display:
        try:
            figures = asyncio.run(_run(Path(folder), display, seconds, base_port, mode))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    _print(figures, out)
    return failures.OK if figures.is_clean else failures.NEGATIVE


async def _run(folder: Path, display: Display, seconds: float, base_port: int | None, mode: Mode) -> Figures:
    import asyncio
    import signal

    from ternmq.cluster.demo.plan import run_demo

    task = asyncio.current_task()
    assert task is not None
    # Like Ctrl-C: the way out leads through every block that cleans up.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run_demo(folder, display, load_s=seconds, base_port=base_port, mode=mode)


def _display(out: Output) -> Display:
    from ternmq.cluster.demo.display import LiveDisplay, PlainDisplay, SilentDisplay

    if out.quiet:
        return SilentDisplay()
    return LiveDisplay() if out.is_live else PlainDisplay()


def _print(figures: Figures, out: Output) -> None:
    for problem in figures.verdict.problems[:_PROBLEMS_SHOWN]:
        out.note(f"wrong: {problem}")
    if out.format in ("json", "jsonl", "tsv"):
        item = figures.item()
        out.items(SCHEMA, [item], summary={key: item[key] for key in _SUMMARY})
        return
    for line in [*figures.lines(), str(figures.verdict)]:
        print(line, flush=True)
