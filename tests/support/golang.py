"""Builds the Go programs of the tests, once for each content; modules come from Go's own cache where they are there."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "target" / "go"
BUILD_SECONDS = 300
# What Go says when a module is in no cache and no proxy answers.
_UNREACHABLE = ("dial tcp", "no such host", "i/o timeout", "module lookup disabled")


def require_go() -> None:
    """Skip the test, by name and with the reason, where Go is missing."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")


def build(project: Path) -> Path:
    """Build a program unless its sources are built already.

    Args:
        project: folder of the `go.mod`.

    Returns:
        The program.
    """
    require_go()
    program = CACHE / f"{project.name}-{_content_hash(project)}" / project.name
    if program.exists():
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    # Built aside and renamed: what stands under the name is whole.
    half = program.with_suffix(".half")
    done = subprocess.run(
        ["go", "build", "-buildvcs=false", "-o", half, "."],
        cwd=project, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS,
    )  # fmt: skip
    if done.returncode != 0:
        if any(sign in done.stderr for sign in _UNREACHABLE):
            pytest.skip(f"no Go module proxy can be reached and the module cache lacks what {project.name} needs")
        pytest.fail(f"{project.name} does not build:\n{done.stderr}")
    half.rename(program)
    return program


def _content_hash(project: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(project.iterdir()):
        if path.suffix in {".go", ".mod", ".sum"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
