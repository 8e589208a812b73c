"""Puts the tables of a run into a document, between its marks."""

import platform
from collections.abc import Sequence
from pathlib import Path

from benches import ROOT

BENCHMARKS, PERFORMANCE, SCALING = (ROOT / "docs" / f"{name}.md" for name in ("benchmarks", "performance", "scaling"))
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"


def write(tables: str, document: Path, stamps: Sequence[str]) -> None:
    """Replace what stands between the marks.

    Args:
        tables: what is to stand there.
        document: where.
        stamps: command and commit of the runs that it comes from.

    Raises:
        ValueError: the document has no marks.
    """
    head = f"{'; '.join(stamps)}: {_machine()}"
    document.write_text(replaced(document.read_text(), f"{head}\n\n{tables}\n"))


def replaced(document: str, content: str) -> str:
    """Give the document with other content between its marks.

    Raises:
        ValueError: it has no marks.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no marks {BEGIN.strip()} and {END.strip()}")
    return f"{head}{begin}{content}{end}{tail}"


def _machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    return (
        f"{len(names)} cores of {model}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}."
    )
