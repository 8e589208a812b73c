"""docs/settings.md says what the tables of settings and of keys say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ternmq.config.settings import BROKER, NAMESERVER
from ternmq.config.topology import Section

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings", ROOT / "scripts" / "settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_what_the_tables_give(generator: ModuleType) -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == generator.document(), "run `make generate`"


def test_every_key_of_every_file_is_there(generator: ModuleType) -> None:
    document = generator.document()
    sections = [section for kind in Section.__subclasses__() for section in (kind, *kind.__subclasses__())]
    keys = {key for section in sections for key in section.__struct_fields__}
    keys |= {row.key for row in BROKER} | {row.apache for row in NAMESERVER if row.apache is not None}
    tables = {"cluster", "defaults", "nameserver", "group", "base"}
    assert {key for key in keys - tables if f"| `{key}` |" not in document} == set()
