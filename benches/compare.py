"""Two checkouts by turns: `python -m benches.compare OTHER_TREE --rows 'load-*' --rounds 2`.

A is this checkout, B the other one; each row runs A B A B. Rows, load generator and whatever else measures are this
checkout's on both sides: only the package `ternmq` is the side's own. It is that of the environment which stands where
the one stands that runs this: `.venv`, which `make setup` makes, or `target/bench`, into which `make bench` puts the
wheel.
"""

import argparse
import fnmatch
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from benches import ROOT
from benches.catalogue import RATED
from benches.drivers import build_load
from benches.figures import Figures

HEAD = (
    "| row | | msg/s | p50 ms | p99 ms | server CPU us | waits | preempted | server CPU of generator CPU |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class Tree:
    """One side.

    Args:
        letter: A or B.
        folder: the checkout.
    """

    letter: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter, which finds its package."""
        return self.folder / Path(sys.prefix).relative_to(ROOT) / "bin" / "python"

    def __str__(self) -> str:
        commit = self._git("rev-parse", "--short=7", "HEAD")
        changed = ", with changes" if self._git("status", "--porcelain", "--untracked-files=no") else ""
        return f"{self.letter} is commit {commit}{changed}"

    def _git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout.strip()


@dataclass
class Compared:
    """A row, and what it came to on both sides in each round."""

    row: str
    runs: dict[str, list[Figures]] = field(default_factory=dict)
    """By the letter of the side."""

    def add(self, letter: str, figures: Figures) -> None:
        """Take a run of one side."""
        self.runs.setdefault(letter, []).append(figures)

    def lines(self) -> list[str]:
        """Of the table: each side with all its rounds, then B as a multiple of A, by their means."""
        columns = {letter: [_columns(figures) for figures in runs] for letter, runs in self.runs.items()}
        lines = []
        for letter, runs in columns.items():
            cells = [" · ".join(_shown(value) for value in values) for values in zip(*runs, strict=True)]
            lines.append(f"| {RATED[self.row].title} | {letter} | {' | '.join(cells)} |")
        means = [[_mean(values) for values in zip(*runs, strict=True)] for runs in columns.values()]
        ratios = [_ratio(ours, theirs) for ours, theirs in zip(*means, strict=True)]
        return [*lines, f"| | B of A | {' | '.join(ratios)} |"]


def _columns(figures: Figures) -> list[float | None]:
    cpu, client = figures.server_cpu_per_million, figures.client_cpu_us
    of_client = cpu / client if cpu is not None and client else None
    return [figures.per_second, figures.p50_ms, figures.p99_ms, cpu, figures.waits, figures.preempted, of_client]


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return mean(measured) if measured else None


def _ratio(first: float | None, second: float | None) -> str:
    return "" if not first or second is None else f"x {second / first:.3f}"


def run(tree: Tree, row: str, arguments: Sequence[str]) -> Figures:
    """Run a row once with the servers of one side.

    Raises:
        RuntimeError: it failed, or what was acknowledged is not there once.
    """
    with tempfile.TemporaryDirectory(prefix="compare-", dir=ROOT / "target") as folder:
        file = Path(folder) / "figures"
        command: list[str | Path] = [
            tree.python,
            "-m",
            "benches",
            "--rows",
            row,
            "--without-apache",
            "--without-raw",
            "--json",
            file,
        ]
        done = subprocess.run([*command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{row} failed with the servers of {tree.letter}")
        return Figures(**json.loads(file.read_text()))


def main(words: Sequence[str] | None = None) -> int:
    """Compare, and print the table; 1 if a row failed."""
    options = _options(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    trees = [Tree("A", ROOT), Tree("B", options.other.resolve())]
    rows = [row for row in RATED if any(fnmatch.fnmatch(row, pattern) for pattern in options.rows)]
    if not rows:
        print(f"no such row; there are {', '.join(RATED)}", file=sys.stderr)
        return 2
    for tree in trees:
        if not tree.python.exists():
            print(f"{tree.python} is missing: make the environment of that checkout first", file=sys.stderr)
            return 2
    build_load()
    print(f"{'; '.join(map(str, trees))}\n\n{HEAD}", flush=True)
    failed = 0
    arguments = ["--seconds", str(options.seconds), "--warm-up", str(options.warm_up)]
    for row in rows:
        compared = Compared(row)
        try:
            for tree in trees * options.rounds:
                compared.add(tree.letter, run(tree, row, arguments))
        # The other rows may still be compared.
        except RuntimeError as error:
            failed += 1
            print(error, file=sys.stderr)
        else:
            print("\n".join(compared.lines()), flush=True)
    return 1 if failed else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.compare", description=__doc__)
    parser.add_argument("other", type=Path, metavar="OTHER_TREE", help="the checkout that is B")
    parser.add_argument("--rows", action="append", metavar="PATTERN", required=True, help=f"of {', '.join(RATED)}")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side")
    parser.add_argument("--seconds", type=float, default=5.0, help="load of a run")
    parser.add_argument("--warm-up", type=float, default=30.0, help="of servers, before a row of the Java client")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
