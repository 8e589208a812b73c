"""The short and the long form of the fault loop."""

import asyncio
import sys
from pathlib import Path

import pytest

from fault.loop import Settings, run


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(10, marks=pytest.mark.timeout(600)),
        pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(2400)]),
    ],
)
def test_nothing_acknowledged_is_lost_whatever_is_killed(kills: int, tmp_path: Path) -> None:
    result = asyncio.run(run(Settings(kills=kills, seed=kills), tmp_path, _say))
    for note in result.slow:
        _say(note)
    _say(result.summary())
    assert result.violations == []
    assert result.unseen == [], "each check must have had something to look at"
    assert sum(count for name, count in result.tally.injected.items() if name.startswith("kill")) == kills
    assert result.tally.stops >= 1
    assert result.tally.pinned_sends >= 1
    assert result.sends["ok"] > 100 * kills


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
