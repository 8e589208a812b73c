"""Every program in examples/ runs as a process of its own and prints what stands at its end."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.tern import PROGRAM

EXAMPLES = Path(__file__).parents[3] / "examples"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))
SECONDS = 60
PROMISE = re.compile(r"^# prints(, in any order)?:\n((?:#   .+\n)+)\Z", re.MULTILINE)

Running = dict[str, subprocess.Popen[str]]


def promised(text: str) -> tuple[list[str], bool]:
    """What a program says that it prints, and whether the order of the lines may differ."""
    found = PROMISE.search(text)
    assert found, "it does not end with what it prints"
    return [line.removeprefix("#   ") for line in found[2].splitlines()], found[1] is not None


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of them, side by side, as each has its own topic; each in an empty folder."""
    environment = os.environ | {
        "TERNMQ_ENDPOINTS": cluster.nameservers,
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    processes = {}
    for name in PROGRAMS:
        command = [sys.executable, *(("-m", "pytest", "-q") if name.startswith("test_") else ()), name]
        folder = tmp_path_factory.mktemp(name.removesuffix(".py"))
        (folder / name).write_text((EXAMPLES / name).read_text())
        processes[name] = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_prints_what_it_promises(running: Running, name: str) -> None:
    lines, in_any_order = promised((EXAMPLES / name).read_text())
    said, logged = running[name].communicate(timeout=SECONDS)
    assert running[name].returncode == 0, said + logged
    if name.startswith("test_"):
        assert re.search(rf"^{lines[0]} in ", said, re.MULTILINE), said
    elif in_any_order:
        assert sorted(said.splitlines()) == sorted(lines)
    else:
        assert said.splitlines() == lines


def test_the_list_of_examples_is_complete() -> None:
    listed = re.findall(r"^\| `examples/(\w+\.py)` \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == PROGRAMS


@pytest.mark.parametrize("text", ["print(1)\n", "# prints:\n", "# prints:\n#   1\nprint(1)\n"])
def test_an_example_without_its_promise_is_found(text: str) -> None:
    with pytest.raises(AssertionError, match="does not end with what it prints"):
        promised(text)
