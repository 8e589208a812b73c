"""Documents name real files and functions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = (
    "README.md",
    "docs/architecture.md",
    "docs/storage.md",
    "docs/decisions.md",
    "docs/benchmarks.md",
    "docs/simulation.md",
    "docs/fast-election.md",
    "docs/adr/0001-protobuf-of-the-raft-crate.md",
)
PLACE = re.compile(r"`((?:crates|python|tests|benches)/[\w/.]+\.(?:rs|py))`")
NAMED = re.compile(r"`([a-z_][a-z0-9_]*)`")


def steps(text: str) -> list[tuple[str, list[str]]]:
    """Give the files of the life of a message, each with the functions named after it."""
    life = text.split("## The life of a message")[1].split("\n## ")[0]
    places = list(PLACE.finditer(life))
    ends = [place.start() for place in places[1:]] + [len(life)]
    return [(place[1], NAMED.findall(life[place.end() : end])) for place, end in zip(places, ends, strict=True)]


def missing(file: str, functions: list[str]) -> list[str]:
    """Give the functions that a file does not define."""
    source = (ROOT / file).read_text()
    return [name for name in functions if not re.search(rf"\b(?:fn|def) {name}\b", source)]


def test_the_life_of_a_message_names_functions_that_exist() -> None:
    found = steps((ROOT / "docs/architecture.md").read_text())
    assert len(found) > 15
    wrong = {file: gone for file, functions in found if (gone := missing(file, functions))}
    assert not wrong, "named in docs/architecture.md, and not defined there"


def test_a_function_that_does_not_exist_is_found() -> None:
    assert missing("crates/replica/src/turn.rs", ["step", "does_not_exist"]) == ["does_not_exist"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    assert [file for file in PLACE.findall(text) if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    folder = (ROOT / document).parent
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_tables_of_planted_bugs_name_every_one_and_a_check_that_exists() -> None:
    text = (ROOT / "docs/simulation.md").read_text()
    rows = re.findall(r"^\| ([A-Z]\d+) \|(?:[^|]*\|)+?([^|]*)\|$", text, re.MULTILINE)
    lists = ("crates/sim/src/bugs.rs", "crates/log/src/planted.rs")
    bugs = [
        label for code in lists for label in re.findall(r'^    \w+ "(\w+)",$', (ROOT / code).read_text(), re.MULTILINE)
    ]
    assert bugs == [label for label, _ in rows]
    tests = (ROOT / "crates/sim/tests/planted.rs").read_text() + (
        ROOT / "crates/broker/src/requests/pull.rs"
    ).read_text()
    named = [name for _, cell in rows for name in NAMED.findall(cell)]
    assert named
    assert [name for name in named if f"fn {name}(" not in tests] == []
