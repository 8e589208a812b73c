"""Every rule label that is cited has a row in docs/consensus.md or docs/wire.md; every row is cited, or says not."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONSENSUS, WIRE = ROOT / "docs/consensus.md", ROOT / "docs/wire.md"
# Which page has the rows of a family.
PAGES = {**dict.fromkeys("LDROSIPBT", CONSENSUS), **dict.fromkeys("WC", WIRE)}
LABEL = re.compile(rf"(?<![\w./-])([{''.join(PAGES)}])(\d{{1,2}})\b(?![-.]\d)")
RANGE = re.compile(r"\b([A-Z])(\d+)(?: to )(?:[A-Z])?(\d+)\b")
CELL = re.compile(r"(?<=\| )([A-Z]\d+) \| ([^|]*)")
PAGE = re.compile(r"[\w-]{2,}\.md\b")
TREES = ("crates", "python", "tests", "docs", "benches", "scripts", "fuzz", "examples")
KINDS = {".rs", ".py", ".md"}
SKIPPED = {"target", "node_modules", ".git", "__pycache__", "artifacts", "corpus"}


def sources() -> Iterator[Path]:
    """Every file in which a label may be cited, but this one and the pages that have the rows."""
    for tree in TREES:
        for path in (ROOT / tree).rglob("*"):
            if path.suffix in KINDS and not SKIPPED.intersection(path.parts) and path != Path(__file__):
                yield path
    yield from ROOT.glob("*.md")


def cited(text: str) -> set[str]:
    """Labels that a text names, those inside of a range like "W1 to W6" among them."""
    found = {letter + number for letter, number in LABEL.findall(text)}
    for letter, first, last in RANGE.findall(text):
        if letter in PAGES and letter + first in found:
            found |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    return found


def rows(text: str) -> dict[str, str]:
    """Labels that have a row in a page, each with its sentence."""
    return {label: sentence for label, sentence in CELL.findall(text) if label[0] in PAGES}


def unknown(texts: Iterable[tuple[str, str]], known: dict[Path, dict[str, str]]) -> list[str]:
    """Citations of labels without a row."""
    return [
        f"{name}: {label}"
        for name, text in texts
        for label in sorted(cited(text))
        if label not in known[PAGES[label[0]]]
    ]


@pytest.fixture(scope="module")
def known() -> dict[Path, dict[str, str]]:
    return {page: rows(page.read_text()) for page in (CONSENSUS, WIRE)}


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    return [(str(path.relative_to(ROOT)), path.read_text()) for path in sources()]


def test_every_cited_label_has_its_row(texts: list[tuple[str, str]], known: dict[Path, dict[str, str]]) -> None:
    assert unknown(texts, known) == []


def test_every_row_is_cited_or_says_that_it_is_not(
    texts: list[tuple[str, str]], known: dict[Path, dict[str, str]]
) -> None:
    pages = {str(page.relative_to(ROOT)) for page in known}
    named = set().union(*(cited(text) for name, text in texts if name not in pages))
    for page, labels in known.items():
        silent = [label for label, sentence in labels.items() if label not in named and "not cited" not in sentence]
        assert silent == [], f"rows of {page.name} that nothing cites: cite them, or mark them *not cited*"


def test_nothing_cites_a_page_outside_of_the_tree(texts: list[tuple[str, str]]) -> None:
    here = {name.rpartition("/")[2] for name, _ in texts if name.endswith(".md")}
    named = {(name, page) for name, text in texts for page in PAGE.findall(text)}
    assert sorted((name, page) for name, page in named if page not in here) == []
    assert [name for name, text in texts if "§" in text] == []


def test_every_test_that_a_rule_names_exists(texts: list[tuple[str, str]]) -> None:
    named = {name for page in (CONSENSUS, WIRE) for name in re.findall(r"`([a-z_0-9]{25,})`", page.read_text())}
    defined = {name for _, text in texts for name in re.findall(r"\b(?:fn|def) (?:test_)?(\w+)", text)}
    assert len(named) > 20
    assert sorted(named - defined) == []


def test_labels_are_told_from_what_only_looks_like_one() -> None:
    assert cited("(L8), D2 to D4: W1 to W3; `-O1` A1 V2 0xB1 T10. I6: L5-7 x.S1 R2/3") == {
        *("L8", "D2", "D3", "D4", "W1", "W2", "W3", "T10", "I6", "R2"),
    }


def test_a_label_without_a_row_is_found_on_the_page_of_its_family() -> None:
    known = {CONSENSUS: {"L1": ""}, WIRE: {"W1": ""}}
    assert unknown([("a.rs", "L1 and W1"), ("b.rs", "L2"), ("c.py", "W2, L1")], known) == ["b.rs: L2", "c.py: W2"]
