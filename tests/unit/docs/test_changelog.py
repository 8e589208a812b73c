"""CHANGELOG.md keeps its form, and its newest version is the one that everything else names."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

import ternmq

ROOT = Path(__file__).parents[3]
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
HEAD = re.compile(r"^## \[(Unreleased|\d+\.\d+\.\d+)\](?: - (unreleased|\d{4}-\d\d-\d\d))?$")


def faults(text: str) -> list[str]:
    """What is not in the form of Keep a Changelog, a sentence each."""
    found = []
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    versions: list[tuple[int, ...]] = []
    for at, (head, part) in enumerate(zip(heads, re.split(r"^## .*$", text, flags=re.MULTILINE)[1:], strict=True)):
        match = HEAD.match(head)
        if match is None or (match[1] == "Unreleased") == bool(match[2]):
            found.append(f"no section of a version: {head}")
            continue
        if match[1] != "Unreleased":
            versions.append(tuple(map(int, match[1].split("."))))
        if (match[1] == "Unreleased" or match[2] == "unreleased") and at > 0:
            found.append(f"not released, and below another section: {head}")
        if match[2] not in {None, "unreleased"}:
            date.fromisoformat(match[2])
        found += [f"{head}: {fault}" for fault in _faults_of_section(part)]
    if not versions or versions != sorted(versions, reverse=True) or len(set(versions)) != len(versions):
        found.append("versions do not fall from the top")
    return found


def _faults_of_section(part: str) -> list[str]:
    found = []
    kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
    if kinds != [kind for kind in KINDS if kind in kinds]:
        found.append(f"kinds are {', '.join(kinds)}, and must be of {', '.join(KINDS)}, once each and in this order")
    for kind, entries in zip(kinds, re.split(r"^### .*$", part, flags=re.MULTILINE)[1:], strict=True):
        lines = entries.strip().splitlines()
        if not lines or any(not line.startswith(("- ", "  ")) for line in lines):
            found.append(f"{kind} is no list")
        found += [
            f"{kind}: says its kind again: {line}" for line in lines if re.match(rf"- ({'|'.join(KINDS)}): ", line)
        ]
    return found


def test_it_has_the_form() -> None:
    assert faults((ROOT / "CHANGELOG.md").read_text()) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("## 0.1.0\n\n### Added\n\n- x\n", "no section of a version"),
        ("## [0.1.0]\n\n### Added\n\n- x\n", "no section of a version"),
        ("## [0.1.0] - unreleased\n\n### Fixed\n\n- x\n\n### Added\n\n- x\n", "in this order"),
        ("## [0.1.0] - unreleased\n\n### News\n\n- x\n", "in this order"),
        ("## [0.1.0] - unreleased\n\n### Added\n\nx\n", "is no list"),
        ("## [0.1.0] - unreleased\n\n### Added\n\n- Fixed: x\n", "says its kind again"),
        ("## [0.1.0] - 2026-12-01\n\n## [0.2.0] - 2026-12-02\n", "do not fall"),
        ("## [0.2.0] - 2026-12-02\n\n## [0.1.0] - unreleased\n", "below another section"),
        ("# Changelog\n", "do not fall"),
    ],
)
def test_what_has_another_form_is_found(text: str, fault: str) -> None:
    assert any(fault in found for found in faults(text)), faults(text)


def test_the_newest_version_is_the_one_that_everything_names() -> None:
    newest = re.findall(r"^## \[(\d[\d.]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    rust = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    locked = {
        crate["version"]
        for crate in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        if crate["name"].startswith("tern-")
    }
    assert {python, rust, ternmq.__version__} | locked == {newest}


def test_no_crate_has_a_version_of_its_own() -> None:
    manifests = [*ROOT.glob("crates/*/Cargo.toml"), ROOT / "benches/load/Cargo.toml"]
    own = [path.parent.name for path in manifests if "version.workspace = true" not in path.read_text()]
    assert own == []
