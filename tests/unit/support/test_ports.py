"""Test servers of runs side by side never get the same ports."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
TAKE_TWO = "from support.ports import free_block; print(free_block(40), free_block(40), flush=True); input()"
PROCESSES = 3


def test_processes_side_by_side_take_ports_apart() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE_TWO], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]
    taken: list[int] = []
    for process in running:
        assert process.stdout is not None
        for first in process.stdout.readline().split():
            taken += range(int(first), int(first) + 40)
    for process in running:
        process.communicate("\n")
    assert len(set(taken)) == len(taken) == PROCESSES * 2 * 40
