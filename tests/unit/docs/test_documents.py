"""Documents name real files and functions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob(".github/**/*.md")]
DOCUMENTS = sorted(str(page.relative_to(ROOT)) for page in PAGES)
DECISIONS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
PLACE = re.compile(r"`((?:crates|python|tests|benches|scripts|examples|docs)/[\w/.-]+\.(?:rs|py|pyi|md|txt))`")
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
    assert broken(text, ROOT / document) == []


def broken(text: str, page: Path) -> list[str]:
    """Links to files that are not there, and to headings that their page does not have."""
    wrong = []
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (heading and heading not in anchors(target.read_text())):
            wrong.append(link)
    return wrong


def anchors(text: str) -> set[str]:
    """Names of the headings of a page, as the hosts of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_link_to_a_page_or_heading_that_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One, two\n\n```sh\n# no heading\n```\n")
    good, bad = (
        "[a](a.md) [b](a.md#one-two) [c](#one-two) [d](https://x.y/z)",
        "[e](b.md) [f](#no-heading) [g](a.md#two)",
    )
    assert broken(good + bad, page) == ["b.md", "#no-heading", "a.md#two"]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_a_number_a_status_a_date_alternatives_and_consequences(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert re.search(r"^Status: (accepted|replaced by \[ADR \d+\]\(.+\)), \d{4}-\d\d-\d\d\.$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Alternatives", "Consequences"]


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = re.findall(r"\]\(([0-9][^)]+)\)", (ROOT / "docs/adr/README.md").read_text())
    assert listed == [page.name for page in DECISIONS]


def test_the_tables_of_planted_bugs_name_every_one_and_a_check_that_exists() -> None:
    text = (ROOT / "docs/simulation.md").read_text()
    rows = re.findall(r"^\| ([A-Z]\d+) \|(?:[^|]*\|)+?([^|]*)\|$", text, re.MULTILINE)
    lists = ("crates/sim/src/bugs.rs", "crates/log/src/planted.rs")
    bugs = [
        label for code in lists for label in re.findall(r'^    \w+ "(\w+)",$', (ROOT / code).read_text(), re.MULTILINE)
    ]
    assert bugs == [label for label, _ in rows]
    tests = "".join(
        (ROOT / file).read_text()
        for file in (
            "crates/sim/tests/planted.rs",
            "crates/sim/tests/membership_traps.rs",
            "crates/sim/tests/slaves.rs",
            "crates/broker/src/requests/tests/pull.rs",
        )
    )
    named = [name for _, cell in rows for name in NAMED.findall(cell)]
    assert named
    assert [name for name in named if f"fn {name}(" not in tests] == []
