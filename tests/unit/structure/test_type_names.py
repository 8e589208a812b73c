"""One name, one type: in all Rust crates together, and in the Python package.

Stubs of the Python package are left out: they declare classes that Rust defines.
"""

from pathlib import Path

from scripts.sources.python import class_places, package
from scripts.sources.rust import type_places

ROOT = Path(__file__).parents[3]


def shown(twice: dict[str, list[str]]) -> str:
    return "\n".join(f"{name}: {', '.join(places)}" for name, places in twice.items())


def test_no_two_rust_types_have_one_name() -> None:
    places = type_places(ROOT)
    assert len(places) > 300
    twice = {name: where for name, where in sorted(places.items()) if len(where) > 1}
    assert list(twice) == [], shown(twice)


def test_no_two_python_classes_have_one_name() -> None:
    places = class_places(package(ROOT / "python/ternmq"), ROOT)
    assert len(places) > 150
    twice = {name: where for name, where in sorted(places.items()) if len(where) > 1}
    assert list(twice) == [], shown(twice)
