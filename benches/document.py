"""Puts the tables of a run into `docs/benchmarks.md`, between its marks."""

import platform
from pathlib import Path

from benches import ROOT
from support.revision import measured_by

DOCUMENT = ROOT / "docs" / "benchmarks.md"
COMMAND = "make bench BENCH_ARGS=--write-docs"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"


def write(tables: str) -> None:
    """Replace what stands between the marks.

    Raises:
        ValueError: the document has no marks.
    """
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(), f"{measured_by(COMMAND)}: {_machine()}\n\n{tables}\n"))


def replaced(document: str, content: str) -> str:
    """Give the document with other content between its marks.

    Raises:
        ValueError: it has no marks.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} has no marks {BEGIN.strip()} and {END.strip()}")
    return f"{head}{begin}{content}{end}{tail}"


def _machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    return (
        f"{len(names)} cores of {model}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}."
    )
