"""List the tests that are red on purpose: markers of known defects in the tree.

`python scripts/known_defects.py` prints each with its file and reason; docs/known-defects.md must name the same, which
`tests/unit/docs/test_known_defects.py` holds. A known defect is a test that fails today:

    @pytest.mark.xfail(strict=True, reason="known defect: ...")
    #[ignore = "known defect: ..."]

A strict xfail turns red when the defect is gone. Rust has nothing like it: `python scripts/known_defects.py run` runs
the ignored tests and fails if one of them passes.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PREFIX = "known defect: "
_IGNORED = re.compile(r"#\[ignore(?:\s*=\s*\"((?:[^\"\\]|\\.)*)\")?\](?:\s*#\[[^\]]*\])*\s*(?:async\s+)?fn\s+(\w+)")


_OUTCOME = re.compile(r"^test (\S+) \.\.\. (ok|FAILED)", re.MULTILINE)


class Marker(NamedTuple):
    """A test that is marked."""

    file: str
    test: str
    reason: str
    is_strict: bool


def in_rust(text: str, file: str) -> Iterator[Marker]:
    """Tests of a Rust file that are ignored."""
    for reason, test in _IGNORED.findall(text):
        yield Marker(file, test, re.sub(r"\\\n\s*", "", reason), True)


def in_python(text: str, file: str) -> Iterator[Marker]:
    """Tests of a Python file, and parameters of tests, that are marked as expected to fail."""
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and node.attr == "xfail"):
            continue
        call = next((c for c in ast.walk(tree) if isinstance(c, ast.Call) and c.func is node), None)
        given = {} if call is None else {key.arg: key.value for key in call.keywords}
        inside = [
            test.name
            for test in functions
            if any(node in ast.walk(part) for part in (*test.decorator_list, *test.body))
        ]
        reason, strict = given.get("reason"), given.get("strict")
        yield Marker(
            file,
            inside[-1] if inside else "",
            reason.value if isinstance(reason, ast.Constant) and isinstance(reason.value, str) else "",
            isinstance(strict, ast.Constant) and strict.value is True,
        )


def markers(root: Path = ROOT) -> list[Marker]:
    """All marked tests of the tree, by file."""
    found = []
    for folder in ("crates", "benches", "tests", "examples", "fuzz"):
        for path in sorted((root / folder).rglob("*")):
            if "target" in path.parts or path.suffix not in {".rs", ".py"}:
                continue
            file = str(path.relative_to(root))
            found += list((in_rust if path.suffix == ".rs" else in_python)(path.read_text(), file))
    return found


def not_red(found: list[Marker], said: str) -> list[str]:
    """Ignored tests that did not fail.

    Args:
        found: markers; those of Python are passed over.
        said: what `cargo test` printed, a line a test.

    Returns:
        A sentence for each test that passed, or that nobody ran.
    """
    outcomes = {name.rpartition("::")[2]: outcome for name, outcome in _OUTCOME.findall(said)}
    ignored = [marker for marker in found if marker.file.endswith(".rs")]
    return [
        f"{marker.file}: {marker.test} {'passed: its defect is gone' if marker.test in outcomes else 'was not run'}"
        for marker in ignored
        if outcomes.get(marker.test) != "FAILED"
    ]


def run() -> int:
    """Run the ignored tests; 1 if one did not fail."""
    found = markers()
    # All crates, as `cargo test` builds them: with some of them alone features differ, and all is built again.
    command = ["cargo", "test", "--release", "--locked", "--no-fail-fast", "--tests", "--", "--ignored"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wrong = not_red(found, done.stdout)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if wrong:
        print(done.stderr[-2000:], file=sys.stderr)
    return 1 if wrong else 0


def main() -> int:
    """Print them; 1 if one has no reason."""
    if sys.argv[1:] == ["run"]:
        return run()
    found = markers()
    for marker in found:
        print(f"{marker.file}: {marker.test}: {marker.reason or 'NO REASON'}")
    return 0 if all(marker.reason for marker in found) else 1


if __name__ == "__main__":
    sys.exit(main())
