"""Lines of JSON that runs leave behind, so that modes may be measured one at a time and shown together."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from benches.figures import Figures
from benches.probes.disk import RawDisk
from benches.probes.loopback import RawLoopback
from benches.setups import Setup


@dataclass(frozen=True)
class Limits:
    """What the machine does by itself, measured just before the servers.

    Args:
        disk: raw writes.
        loopback: raw round trips.
        stamp: command and commit of the run.
    """

    disk: RawDisk
    loopback: RawLoopback
    stamp: str


@dataclass(frozen=True)
class Found:
    """Figures of a row, with the cluster and the limits that they belong to."""

    setup: Setup
    figures: Figures
    limits: Limits


@dataclass
class Saved:
    """What files of lines hold.

    Args:
        limits: of each run.
        found: rows, a later one in the place of an earlier one of the same cluster.
        pairs: runs of `benches.scale`, in their order.
        failed: what could not be measured, a sentence each.
    """

    limits: list[Limits] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def find(self, setup: Setup, row: str) -> Found | None:
        """A row of a cluster."""
        return next((found for found in self.found if (found.setup, found.figures.row) == (setup, row)), None)

    @property
    def setups(self) -> list[Setup]:
        """All clusters, in the order of their lines."""
        return list(dict.fromkeys(found.setup for found in self.found))

    @property
    def stamps(self) -> list[str]:
        """Command and commit of all runs."""
        return list(dict.fromkeys(limits.stamp for limits in self.limits))


def limits_line(limits: Limits) -> str:
    """The line with which a run begins."""
    return json.dumps({"limits": asdict(limits)})


def figures_line(setup: Setup, figures: Figures) -> str:
    """A line of a row."""
    return json.dumps({"setup": asdict(setup), "figures": figures.as_json()})


def pair_line(pair: dict[str, Any]) -> str:
    """A line of a run that has a counterpart."""
    return json.dumps({"pair": pair})


def failed_line(sentence: str) -> str:
    """A line of something that could not be measured."""
    return json.dumps({"failed": sentence})


def load(files: Iterable[Path]) -> Saved:
    """Read lines back.

    Raises:
        ValueError: a row stands before the limits of its run.
    """
    saved = Saved()
    for file in files:
        for text in file.read_text().splitlines():
            _take(saved, json.loads(text))
    return saved


def _take(saved: Saved, line: dict[str, Any]) -> None:
    if "limits" in line:
        limits = line["limits"]
        saved.limits.append(Limits(RawDisk(**limits["disk"]), RawLoopback(**limits["loopback"]), limits["stamp"]))
    elif "pair" in line:
        saved.pairs.append(cast("dict[str, Any]", line["pair"]))
    elif "failed" in line:
        saved.failed.append(str(line["failed"]))
    else:
        if not saved.limits:
            raise ValueError("a row stands before the limits of its run")
        found = Found(Setup(**line["setup"]), Figures(**line["figures"]), saved.limits[-1])
        saved.found = [
            held for held in saved.found if (held.setup, held.figures.row) != (found.setup, found.figures.row)
        ]
        saved.found.append(found)
