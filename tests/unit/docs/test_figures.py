"""Every section with measured figures names the command and the commit that produced them."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"))
    if page.name != "CHANGELOG.md"
]
# What only measured figures have, as bounds and settings have units, too: rates, percentiles, ratios, shares of a core.
FIGURE = re.compile(
    r"\b(?:msg|messages|MB|sends|requests)/s\b|\b(?:median|worst|p50|p9\d|p99)\b|\bof a core\b|\bx \d+\.\d|\bCPU-s\b"
    r"|\b\d[\d,.]*(?:/s| (?:us|microseconds)\b)|\b(?:took|takes|measured) (?:about )?\d[\d,.]* (?:ms|s|MB|minutes?)\b"
    r"|\bwell under a second\b|\|(?: yes \|){2}",
    re.IGNORECASE,
)
DIGIT = re.compile(r"\d|yes|second")
STAMP = re.compile(r"\bMeasured by `([^`]+)` at\scommit ([0-9a-f]{7,40})\b(?! with changes)")


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Parts of a page, each with its heading; a block between fences is no figure, and what defines columns neither."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    heads = ["", *re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    yield from zip(heads, re.split(r"^#+ .+$", text, flags=re.MULTILINE), strict=True)


def unstamped(text: str) -> list[str]:
    """Headings of sections with figures and without a command and commit, each with the first such line."""
    found = []
    for head, part in sections(text):
        lines = [line for line in part.splitlines() if FIGURE.search(line) and DIGIT.search(line)]
        if lines and not STAMP.search(part):
            found.append(f"{head}: {lines[0].strip()}")
    return found


def unknown_command(command: str) -> str | None:
    """Why a command cannot be run in this tree, if so."""
    words = shlex.split(command)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return None if words[1] in targets else f"make has no target {words[1]}"
    if words[:2] == ["python", "-m"]:
        module = ROOT / words[2].replace(".", "/")
        return None if module.with_suffix(".py").exists() or module.is_dir() else f"there is no module {words[2]}"
    if words[0] == "python":
        return None if (ROOT / words[1]).exists() else f"there is no {words[1]}"
    return None if words[:2] == ["cargo", "test"] else f"{words[0]} is no command that is known here"


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_figure_has_its_command_and_commit(page: Path) -> None:
    assert unstamped(page.read_text()) == []


def test_the_commands_exist() -> None:
    commands = {command for page in PAGES for command, _ in STAMP.findall(page.read_text())}
    assert commands
    assert [why for why in map(unknown_command, sorted(commands)) if why] == []


def test_the_commits_are_in_the_history() -> None:
    if _git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no history here: an archive of the sources, or a shallow clone")
    commits = {commit for page in PAGES for _, commit in STAMP.findall(page.read_text())}
    assert [
        commit for commit in sorted(commits) if _git("merge-base", "--is-ancestor", commit, "HEAD").returncode
    ] == []


@pytest.mark.parametrize(
    "line",
    [
        "| 12,931 | msg/s |", "a median of 126 ms", "p50 0.84 ms", "worst 1.15 s", "0.393 % of a core", "| x 5.11 |",
        "9,724/s of 4 KiB", "8.7 us a message", "it took 86 s",
        "replaced in well under a second", "| a send | yes | yes |",
    ],
)  # fmt: skip
def test_a_figure_without_its_command_is_found(line: str) -> None:
    page = f"# A page\n\ntext\n\n## Figures\n\n{line}\n"
    assert unstamped(page) == [f"Figures: {line}"]
    assert unstamped(f"{page}\nMeasured by `make bench` at commit faa1056.\n") == []
    assert unstamped(f"{page}\nMeasured by `make bench` at commit faa1056 with changes.\n") != []


@pytest.mark.parametrize(
    "line",
    ["refused after 200 ms", "closed after 15 s, and a second for each 128 KiB", "64 MiB", "at most 32 messages"],
)
def test_a_bound_is_not_taken_for_a_figure(line: str) -> None:
    assert unstamped(f"# A page\n\n{line}\n") == []


@pytest.mark.parametrize(
    "command", ["make nothing", "python -m benches.nothing", "python scripts/nothing.py", "curl x"]
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    assert unknown_command(command)
