"""What docs/adr/0001 rests on: whoever changes it reads that page again."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/adr/0001-protobuf-of-the-raft-crate.md"
PARSER = re.compile(r"\b(?:merge_from(?:_bytes)?|parse_from_\w+|CodedInputStream)\b|\bprotobuf::")


def _locked() -> dict[str, dict[str, list[str]]]:
    """Versions and dependencies of each crate that is linked."""
    found: dict[str, dict[str, list[str]]] = {}
    for crate in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        entry = found.setdefault(crate["name"], {"versions": [], "uses": []})
        entry["versions"].append(crate["version"])
        entry["uses"] += [name.split()[0] for name in crate.get("dependencies", [])]
    return found


def test_the_versions_are_those_that_were_read() -> None:
    locked = _locked()
    text = PAGE.read_text()
    assert locked["raft"]["versions"] == ["0.7.0"]
    assert "`raft` crate, 0.7.0" in text
    assert locked["protobuf"]["versions"] == ["2.28.0"]


def test_nobody_but_the_raft_crate_links_the_parser() -> None:
    users = {name for name, crate in _locked().items() if "protobuf" in crate["uses"]}
    # The last two run while raft-proto is built.
    assert users == {"raft", "raft-proto", "protobuf-build", "protobuf-codegen"}


def test_no_code_of_ours_calls_the_parser() -> None:
    sources = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("benches/load/src/**/*.rs")]
    assert len(sources) > 100
    assert [str(path.relative_to(ROOT)) for path in sources if PARSER.search(path.read_text())] == []
    assert PARSER.search("let change = ConfChange::parse_from_bytes(&entry.data)?;")
