"""A C library that is built for a test and loaded into the processes that it starts."""

import shutil
import subprocess
from pathlib import Path

import pytest


def preload(folder: Path, source: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build a library and have processes that are started from now on load it; skips the test without a C compiler.

    Args:
        folder: made here, for the library and for what it reads and writes.
        source: of the library.
        variable: of the environment that tells it the folder.
        monkeypatch: for the environment that those processes inherit.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc is not installed")
    folder.mkdir()
    library = folder / source.with_suffix(".so").name
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv(variable, str(folder))
