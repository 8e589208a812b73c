"""docs/compatibility.md says what the dispatch tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "scripts" / "compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_what_the_dispatch_tables_give(generator: ModuleType) -> None:
    assert (ROOT / "docs" / "compatibility.md").read_text() == generator.document(), "run `make generate`"


def test_every_test_that_is_named_exists(generator: ModuleType) -> None:
    named = {test for tests in generator.TESTS.values() for test in tests.values()}
    assert [test for test in sorted(named) if not (ROOT / test).exists()] == []


def test_every_test_that_is_named_belongs_to_a_served_code(generator: ModuleType) -> None:
    served = {(row.where, row.code) for row in generator.rows()}
    assert {(where, code) for where, tests in generator.TESTS.items() for code in tests} <= served


def test_each_side_serves_a_code_once(generator: ModuleType) -> None:
    codes = [(row.where.split(",")[0], row.code) for row in generator.rows()]
    assert len(codes) == len(set(codes))
