"""The memory that a broker counts with is what its control group leaves it."""

import os
from pathlib import Path

import pytest

from ternmq.broker.memory import usable_memory_bytes

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
GIB = 1 << 30


def usable(tmp_path: Path, own: str, limits: dict[str, str]) -> int:
    (tmp_path / "own").write_text(own)
    for name, text in limits.items():
        file = tmp_path / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return usable_memory_bytes(tmp_path / "own", tmp_path / "mounted")


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(GIB)}),
        ("0::/a/b\n", {"a/b/memory.max": str(GIB), "a/memory.max": "max"}),
        ("0::/a/b\n", {"unified/a/memory.max": str(GIB)}),
        ("0::/../outside\n", {"memory.max": str(GIB)}),
        ("4:cpu:/x\n3:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": str(GIB)}),
        ("3:cpu,memory:/docker/1\n", {"cpu,memory/memory.limit_in_bytes": str(GIB)}),
    ],
)
def test_the_least_limit_of_the_groups_that_hold_counts(tmp_path: Path, own: str, limits: dict[str, str]) -> None:
    assert usable(tmp_path, own, limits) == GIB


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("", {}),
        ("0::/a\n", {"a/memory.max": "max"}),
        ("3:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}),
        ("3:cpu:/a\n", {"memory/a/memory.limit_in_bytes": str(GIB)}),
    ],
)
def test_without_a_limit_the_machine_s_memory_counts(tmp_path: Path, own: str, limits: dict[str, str]) -> None:
    assert usable(tmp_path, own, limits) == PHYSICAL


def test_a_system_without_control_groups_has_its_memory(tmp_path: Path) -> None:
    assert usable_memory_bytes(tmp_path / "none", tmp_path) == PHYSICAL
