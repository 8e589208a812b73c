"""The hosted workflow parses, and does what `make` does on a developer's machine."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
PINNED = re.compile(r"^[\w-]+/[\w./-]+@(v\d+|[0-9a-f]{40})$")
# What a job needs before a target runs.
NEEDED = {
    "verify": {"actions/setup-python"},
    "test": {"actions/setup-python", "actions/setup-java", "actions/setup-go"},
}


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return found


def _steps(workflow: dict[Any, Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: job["steps"] for name, job in workflow["jobs"].items()}


def test_it_runs_on_push_and_pull_request(workflow: dict[Any, Any]) -> None:
    # YAML 1.1, which hosts read too, takes the key `on` for true.
    assert {"push", "pull_request"} <= workflow[True].keys()


@pytest.mark.parametrize("target", NEEDED)
def test_a_job_sets_up_what_its_target_needs_and_calls_it(workflow: dict[Any, Any], target: str) -> None:
    steps = _steps(workflow)[target]
    called = next(at for at, step in enumerate(steps) if step.get("run") == f"make {target}")
    before = {step["uses"].partition("@")[0] for step in steps[:called] if "uses" in step}
    assert {"actions/checkout"} | NEEDED[target] <= before
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def test_every_action_is_pinned(workflow: dict[Any, Any]) -> None:
    used = [step["uses"] for steps in _steps(workflow).values() for step in steps if "uses" in step]
    assert used
    assert [action for action in used if not PINNED.match(action)] == []


def test_the_versions_are_those_that_the_tree_supports(workflow: dict[Any, Any]) -> None:
    def version(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text))

    oldest = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    assert version(workflow["env"]["RUST"]) >= version(oldest)
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    given = [
        s["with"]["python-version"]
        for steps in _steps(workflow).values()
        for s in steps
        if "python-version" in s.get("with", {})
    ]
    assert [f">={python}" for python in given] == [least, least]


@pytest.mark.parametrize("step", ["actions/cache", "actions/cache@main", "actions/cache@v4.1", "docker://x"])
def test_an_action_that_may_change_is_told_from_a_pinned_one(step: str) -> None:
    assert not PINNED.match(step)
