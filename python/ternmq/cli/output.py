"""What commands print: a table on a terminal, TSV in a pipe, JSON on request. Data on stdout, all else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from ternmq.cli.streams import writes_everything

FORMATS = ("table", "tsv", "json", "jsonl")

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

Item = Mapping[str, Any]


def json_text(value: object) -> str:
    """Write one line of JSON, readable beyond ASCII where stdout can say it."""
    return json.dumps(value, ensure_ascii=not writes_everything(sys.stdout), separators=(", ", ": "))


def cell(value: object) -> str:
    """Write one value for a table or TSV: ``-`` for nothing, ``yes`` and ``no``, lists joined by commas."""
    if value is None:
        return "-"
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={cell(entry)}" for key, entry in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ",".join(cell(entry) for entry in value) or "-"
    return str(value)


def columns_of(items: Iterable[Item]) -> list[str]:
    """Name all keys of all items in the order in which they first appear."""
    return list(dict.fromkeys(key for item in items for key in item))


@dataclass(frozen=True)
class Output:
    """Where and how a command prints.

    Args:
        format: one of `FORMATS`; None chooses table on a terminal and tsv elsewhere.
        quiet: no progress and no notes on stderr; errors stay.
    """

    format: str | None = None
    quiet: bool = False

    @property
    def chosen(self) -> str:
        """Which of `FORMATS` holds, with the terminal asked."""
        return self.format or ("table" if sys.stdout.isatty() else "tsv")

    @property
    def is_live(self) -> bool:
        """Whether a live display on stderr makes sense."""
        return not self.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def items(
        self,
        schema: str,
        items: Sequence[Item],
        *,
        columns: Sequence[str] | None = None,
        summary: Item | None = None,
    ) -> None:
        """Print the answer of a command.

        Args:
            schema: name and number of the document, such as ``ternmq.topic.list/1``.
            items: plain values under snake-case keys with units.
            columns: which keys tables and TSV show; all by default. JSON always has all.
            summary: what a script asks first, beside the items of the JSON document.
        """
        match self.chosen:
            case "json":
                print(json_text({"schema": schema, **(summary or {}), "items": list(items)}))
            case "jsonl":
                for item in items:
                    print(json_text(item))
            case "tsv":
                _print_tsv(items, list(columns or columns_of(items)), sys.stdout)
            case _:
                _print_table(items, list(columns or columns_of(items)))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tell the person something that is not the answer, on stderr."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Tell the person that something went wrong though the command goes on; quiet does not silence it."""
        print(f"error: {text}", file=sys.stderr, flush=True)


def _print_tsv(items: Sequence[Item], columns: list[str], out: IO[str]) -> None:
    if columns:
        print("\t".join(columns), file=out)
    for item in items:
        print("\t".join(cell(item.get(column)).translate(_TSV_ESCAPES) for column in columns), file=out)


def _print_table(items: Sequence[Item], columns: list[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not columns:
        console.print("none")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = bool(items) and all(
            isinstance(item.get(column), int | float) and not isinstance(item.get(column), bool) for item in items
        )
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for item in items:
        table.add_row(*(Text(cell(item.get(column))) for column in columns))
    console.print(table)
