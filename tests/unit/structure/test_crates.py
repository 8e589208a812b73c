"""Crates depend downwards, and the pure ones on nothing that brings threads, clocks or sockets."""

import tomllib
from pathlib import Path

import pytest
from scripts.sources.layers import misplaced, upward
from scripts.sources.rust import Import, workspace

ROOT = Path(__file__).parents[3]
CRATES = {crate.name: crate for crate in workspace(ROOT)}
ORDER = tomllib.loads((Path(__file__).parent / "order.toml").read_text())["crates"]
FOR_TESTS = set(ORDER["for_tests"])


def arrows(table: str) -> list[Import]:
    return [
        Import(crate.name, other, table, 0)
        for crate in CRATES.values()
        for other in sorted(crate.dependencies(table) & CRATES.keys())
    ]


def test_every_crate_has_a_place_in_the_order() -> None:
    assert misplaced({"root": ORDER["layers"]}, CRATES) == []


@pytest.mark.parametrize("table", ["dependencies", "build-dependencies"])
def test_a_crate_depends_only_on_what_stands_below_it(table: str) -> None:
    assert upward({"root": ORDER["layers"]}, arrows(table)) == []


def test_the_tests_of_a_crate_also_depend_on_crates_that_are_for_tests() -> None:
    product = [arrow for arrow in arrows("dev-dependencies") if arrow.target not in ORDER["for_tests"]]
    assert upward({"root": ORDER["layers"]}, product) == []


def test_no_crate_that_is_installed_depends_on_one_for_tests() -> None:
    assert CRATES.keys() >= FOR_TESTS
    assert [
        arrow for arrow in arrows("dependencies") if arrow.source not in FOR_TESTS and arrow.target in FOR_TESTS
    ] == []


@pytest.mark.parametrize("name", ORDER["pure"])
def test_a_pure_crate_has_no_threads_clocks_or_sockets(name: str) -> None:
    assert CRATES[name].dependencies() & set(ORDER["impure"]) == set()


@pytest.mark.parametrize("name", ORDER["lockless"])
def test_a_crate_of_plain_values_has_no_locks(name: str) -> None:
    assert name in ORDER["pure"]
    assert CRATES[name].dependencies() & set(ORDER["locks"]) == set()


@pytest.mark.parametrize("feature", ORDER["features_for_tests"])
def test_no_crate_that_is_installed_turns_on_what_is_for_tests(feature: str) -> None:
    turning_on = {
        crate.name
        for crate in CRATES.values()
        for wanted in crate.manifest.get("dependencies", {}).values()
        if feature in wanted.get("features", ())
    }
    assert turning_on <= FOR_TESTS
    assert [crate.name for crate in CRATES.values() if "default" in crate.manifest.get("features", {})] == []
