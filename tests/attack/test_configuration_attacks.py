"""Configuration and data that try to be more than data: W14 and C5 of `docs/wire.md`."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ternmq

PACKAGE = Path(ternmq.__file__).parent
STOPS_WITHIN_SECONDS = 15
BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + depth)}: &{chr(98 + depth)} [{', '.join(['*' + chr(97 + depth)] * 9)}]\n" for depth in range(20)
)
CONFIGURATIONS = {
    "yaml-bomb.yaml": BOMB,
    "tags.yaml": "!!python/object/apply:os.system ['echo owned']\n",
    "anchors.yaml": "cluster: &c {name: x}\nother: *c\n",
    "two-mebibytes.toml": "[cluster]\nname = '" + "n" * (2 << 20) + "'\n",
    "deep.toml": "a = " + "[" * 100_000 + "]" * 100_000 + "\n",
    "binary.toml": "\x00\x01\x02\udcff",
    "empty.toml": "",
}
# Calls that turn data into code or into objects of any class.
CODE_FROM_DATA = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "shelve", "marshal", "dill", "cloudpickle", "jsonpickle"}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_hostile_topology_stops_the_start_with_a_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(CONFIGURATIONS[name].encode(errors="surrogateescape"))
    command = [sys.executable, "-m", "ternmq.cli.main", "run", "namesrv", "--topology", str(file), "--node", "ns1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=STOPS_WITHIN_SECONDS)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert "owned" not in done.stdout + done.stderr
    assert len(done.stderr) < 2000


def test_nothing_in_the_package_makes_code_or_objects_out_of_data() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CODE_FROM_DATA:
                found.append(f"{path.name}:{node.lineno} {node.func.id}")
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                found += [f"{path.name}:{node.lineno} {name}" for name in names if name.split(".")[0] in MODULES]
    assert found == []


def test_nothing_in_the_package_starts_a_shell_or_reads_unsafe_yaml() -> None:
    forbidden = re.compile(r"shell\s*=\s*True|os\.system|os\.popen|yaml\.(unsafe_)?load\b|FullLoader")
    assert [path.name for path in PACKAGE.rglob("*.py") if forbidden.search(path.read_text())] == []
