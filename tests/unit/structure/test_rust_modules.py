"""Inside each crate, imports lead down a written order, and never in a circle."""

import tomllib
from pathlib import Path

import pytest
from scripts.sources.graphs import cycles
from scripts.sources.layers import misplaced, upward
from scripts.sources.rust import Crate, workspace

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
CRATES = {crate.name: crate for crate in workspace(ROOT)}
ORDER = tomllib.loads((HERE / "order.toml").read_text())


def modules(crate: Crate) -> list[str]:
    return [file.module for file in crate.files if not file.is_facade]


@pytest.mark.parametrize("name", CRATES)
def test_no_file_of_a_crate_imports_itself_through_others(name: str) -> None:
    imports = CRATES[name].imports()
    knots = cycles((one.source, one.target) for one in imports)
    arrows = [
        f"{one.source} -> {one.target} ({one.path}, line {one.line})"
        for knot in knots
        for one in imports
        if {one.source, one.target} <= set(knot)
    ]
    assert knots == [], "\n".join(arrows)


@pytest.mark.parametrize("name", CRATES)
def test_every_module_has_a_place_in_the_order_of_its_crate(name: str) -> None:
    assert misplaced(ORDER["modules"][name], modules(CRATES[name])) == []


@pytest.mark.parametrize("name", CRATES)
def test_a_module_imports_only_what_stands_below_it(name: str) -> None:
    assert upward(ORDER["modules"][name], CRATES[name].imports()) == []


def test_the_reading_finds_the_imports_that_there_are() -> None:
    found = {(one.source, one.target) for one in CRATES["load"].imports()}
    assert ("main", "plan") in found
    assert sum(len(crate.imports()) for crate in CRATES.values()) > 500
