"""docs/known-defects.md names exactly the tests that are marked as red."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/known-defects.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("known_defects", ROOT / "scripts" / "known_defects.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_and_the_tree_name_the_same_tests(script: ModuleType) -> None:
    named = re.findall(r"\| `([\w/.-]+)`, `(\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted((marker.file, marker.test) for marker in script.markers())


def test_every_marker_has_its_reason_and_is_strict(script: ModuleType) -> None:
    found = script.markers()
    assert [marker for marker in found if not marker.reason.startswith(script.PREFIX) or not marker.is_strict] == []


def test_an_ignored_test_that_passes_or_is_not_run_is_found(script: ModuleType) -> None:
    found = [script.Marker("crates/a/src/b.rs", name, "known defect: x", True) for name in ("one", "two", "three")]
    said = "test b::one ... FAILED\ntest b::two - should panic ... ok\ntest tests::two ... ok\n"
    assert script.not_red(found, said) == [
        "crates/a/src/b.rs: two passed: its defect is gone",
        "crates/a/src/b.rs: three was not run",
    ]


def test_make_test_runs_the_ignored_tests() -> None:
    assert "scripts/known_defects.py run" in (ROOT / "Makefile").read_text()


def test_markers_are_found_whatever_stands_around_them(script: ModuleType) -> None:
    rust = (
        '#[test]\n#[ignore = "known defect: x"]\n#[should_panic]\nfn one() {}\n\n'
        "#[ignore]\nasync fn two() {}\n// ignore\n"
    )
    assert [(m.test, m.reason) for m in script.in_rust(rust, "a.rs")] == [("one", "known defect: x"), ("two", "")]
    python = (
        "import pytest\n"
        '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.xfail(reason="a", strict=True))])\n'
        "def test_one(x): ...\n"
        "@pytest.mark.xfail\n"
        "async def test_two(): ...\n"
        "def test_three():\n    pytest.xfail('now')\n"
    )
    found = sorted((m.test, m.reason, m.is_strict) for m in script.in_python(python, "a.py"))
    assert found == [("test_one", "a", True), ("test_three", "", False), ("test_two", "", False)]
