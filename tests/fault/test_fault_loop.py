"""The short and the long form of the fault loop: one run, and what each of its readers has shown."""

import asyncio
import sys
from pathlib import Path

import pytest

from fault.clients import java_group
from fault.loop import run
from fault.result import Result, Settings
from support import maven
from ternmq.chaos.history import read_history
from ternmq.config.topology import Mode

# The short form has one Java consumer, which costs what it costs to start a JVM.
RUNS = {10: ("5.5.0",), 50: ("5.5.0", "4.9.8")}
HELD_BACK_AT_LEAST = 100


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(10, marks=pytest.mark.timeout(600)),
        pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(2400)]),
    ],
)
def kills(request: pytest.FixtureRequest) -> int:
    """Length of the run."""
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def folder(kills: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run."""
    return tmp_path_factory.mktemp(f"fault-loop-{kills}")


@pytest.fixture(scope="module")
def result(kills: int, folder: Path) -> Result:
    """One run, through which the Java consumers read along where there is Java."""
    java_clients = () if maven.missing() else RUNS[kills]
    result = asyncio.run(run(Settings(kills=kills, seed=kills, java_clients=java_clients), folder, _say))
    for note in result.slow:
        _say(note)
    _say(result.summary())
    return result


def test_nothing_acknowledged_is_lost_whatever_is_killed(kills: int, result: Result) -> None:
    assert result.violations == []
    assert result.unseen == [], "each check must have had something to look at"
    assert sum(count for name, count in result.tally.injected.items() if name.startswith("kill")) == kills
    assert result.tally.stops >= 1
    assert result.tally.pinned_sends >= 1
    assert result.sends["ok"] > 100 * kills


def test_messages_of_every_delay_level_were_held_back_through_the_kills(result: Result, folder: Path) -> None:
    """What became of them is for the checks to say, in the test above."""
    history = read_history([folder / "history.jsonl"])
    delayed = [event.value for event in history if event.operation == "send" and event.value is not None]
    assert all(delayed.count(delay_ms) > HELD_BACK_AT_LEAST for delay_ms in (1000, 5000, 10000))
    assert set(result.latest_delayed) == {"1 s", "5 s", "10 s"}, "all of them were delivered"


@pytest.mark.java
def test_java_push_consumers_read_along_through_the_kills(kills: int, result: Result, folder: Path) -> None:
    """That they got everything acknowledged is for the checks to say, in the test above."""
    maven.require_java()
    history = read_history([folder / "history.jsonl"])
    for version in RUNS[kills]:
        got = {event.uid for event in history if event.operation == "deliver" and event.group == java_group(version)}
        assert len(got) > 100 * kills, version


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


@pytest.mark.parametrize(
    "mode",
    [
        "sync-double-write",
        pytest.param("async-slave", marks=pytest.mark.long),
        pytest.param("multi-master", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(600)
def test_a_group_that_elects_nobody_loses_nothing_to_kills_either(mode: Mode, tmp_path: Path) -> None:
    kills = 5 if mode == "sync-double-write" else 20
    result = asyncio.run(run(Settings(kills=kills, seed=kills, mode=mode), tmp_path, _say))
    for note in result.slow:
        _say(note)
    _say(result.summary())
    assert result.violations == []
    assert result.unseen == [], "each check must have had something to look at"
    assert sum(result.tally.injected.values()) == kills
    assert result.sends["ok"] > 100 * kills
