"""What one sees during the demonstration: a live view on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_SPARKS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 48


@dataclass(frozen=True)
class Snapshot:
    """The cluster and the load at one moment.

    Args:
        nodes: items of ``ps``.
        rss_bytes: memory by node.
        acknowledged: messages so far.
        consumed: messages that the follower got so far.
    """

    nodes: Sequence[dict[str, Any]] = ()
    rss_bytes: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    consumed: int = 0


class Display(Protocol):
    """What the plan tells its audience."""

    def step(self, text: str) -> None:
        """Say that something begins."""

    def done(self, text: str) -> None:
        """Say how the last step ended."""

    def say(self, text: str) -> None:
        """Say how far the current step is."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the newest figures."""

    def stopped(self) -> None:
        """Show no nodes any more: they have been stopped."""

    def __enter__(self) -> Display:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last view standing."""


class SilentDisplay:
    """Shows nothing."""

    def step(self, text: str) -> None:
        """Take a step and keep quiet."""

    def done(self, text: str) -> None:
        """Take an end and keep quiet."""

    def say(self, text: str) -> None:
        """Take a remark and keep quiet."""

    def show(self, snapshot: Snapshot) -> None:
        """Take figures and keep quiet."""

    def stopped(self) -> None:
        """Take the end of the nodes and keep quiet."""

    def __enter__(self) -> SilentDisplay:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""


class PlainDisplay(SilentDisplay):
    """One line a step, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """Print that something begins."""
        self._print(f"{text} …")

    def done(self, text: str) -> None:
        """Print how it ended."""
        self._print(text)

    def _print(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._began:6.1f} s  {text}\n")
        sys.stderr.flush()


class LiveDisplay:
    """Steps, nodes and rates, redrawn in place."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._ended: list[str] = []
        self._current = ""
        self._remark = ""
        self._snapshot = Snapshot()
        self._rates: list[float] = []
        self._last: tuple[float, int] | None = None
        self._spinner = Spinner("dots")
        self._live = Live(
            console=Console(stderr=True, highlight=False), get_renderable=self._render, refresh_per_second=8
        )

    def step(self, text: str) -> None:
        """Show that something begins."""
        self._current, self._remark = text, ""

    def done(self, text: str) -> None:
        """Keep how the last step ended."""
        self._ended.append(f"{time.monotonic() - self._began:5.1f} s  {text}")
        self._current = self._remark = ""

    def say(self, text: str) -> None:
        """Show how far the current step is."""
        self._remark = text

    def show(self, snapshot: Snapshot) -> None:
        """Take the newest figures into the view."""
        now = time.monotonic()
        if self._last is not None and now > self._last[0]:
            self._rates.append((snapshot.acknowledged - self._last[1]) / (now - self._last[0]))
        self._last = (now, snapshot.acknowledged)
        self._snapshot = snapshot

    def stopped(self) -> None:
        """Keep the figures, without the nodes."""
        self._snapshot = replace(self._snapshot, nodes=())

    def __enter__(self) -> LiveDisplay:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draw a last time."""
        self._live.stop()

    def _render(self) -> Group:
        parts: list[Any] = [Text.assemble(("  ✓ ", "green"), line) for line in self._ended]
        if self._current:
            remark = f" · {self._remark}" if self._remark else ""
            self._spinner.update(text=Text(f"{self._current}{remark}"))
            parts.append(self._spinner)
        if self._snapshot.nodes:
            parts.append(_nodes_table(self._snapshot))
        if self._last is not None:
            parts.append(self._rate_line())
        return Group(*parts)

    def _rate_line(self) -> Text:
        rates = self._rates[-_SPARK_WIDTH:]
        now = rates[-1] if rates else 0.0
        return Text.assemble(
            ("acknowledged ", "dim"), f"{self._snapshot.acknowledged:,}", ("  consumed ", "dim"),
            f"{self._snapshot.consumed:,}", ("  sends/s ", "dim"), f"{now:7,.0f}  ", (sparkline(rates), "cyan"),
        )  # fmt: skip


def sparkline(values: Sequence[float]) -> str:
    """Draw figures as a row of bars, the highest one full."""
    top = max(values, default=0.0)
    if top <= 0:
        return _SPARKS[0] * len(values)
    return "".join(
        _SPARKS[min(len(_SPARKS) - 1, int(max(value, 0.0) / top * (len(_SPARKS) - 1) + 0.5))] for value in values
    )


_ROLE_STYLES = {"leader": "bold green", "dead": "bold red", "starting": "yellow"}


def _nodes_table(snapshot: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("node", "role", "pid", "address"):
        table.add_column(heading)
    table.add_column("MB", justify="right")
    for node in snapshot.nodes:
        size = snapshot.rss_bytes.get(node["name"])
        table.add_row(
            node["name"],
            Text(node["role"], style=_ROLE_STYLES.get(node["role"], "")),
            "-" if node["pid"] is None else str(node["pid"]),
            node["address"],
            "-" if size is None else f"{size / 1e6:.0f}",
        )
    return table
