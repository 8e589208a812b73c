"""Say what a machine lacks for building ternmq, before a long build fails halfway.

Runs under whatever Python the machine has, also one that is too old: hence no syntax newer than 3.7.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON_MINIMUM = (3, 11)
ROOT = Path(__file__).resolve().parent.parent


def cargo_minimum() -> str:
    """Read the oldest supported toolchain from the workspace manifest, its only statement."""
    manifest = (ROOT / "Cargo.toml").read_text()
    found = re.search(r'^rust-version = "([\d.]+)"', manifest, re.MULTILINE)
    assert found is not None, "Cargo.toml states no rust-version"
    return found.group(1)


def numbers(version: str) -> tuple[int, ...]:
    """Turn "1.88.0" into something that compares."""
    return tuple(int(part) for part in version.split(".")[:2])


def missing() -> Iterator[str]:
    """List one sentence for each thing that is missing, with what to install."""
    if sys.version_info < PYTHON_MINIMUM:
        yield "Python {}.{} or newer is needed; this is {}. Name another one: make setup PYTHON=python3.12".format(
            *PYTHON_MINIMUM, sys.version.split()[0]
        )
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        yield "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"
    if shutil.which("cc") is None and shutil.which("gcc") is None and shutil.which("clang") is None:
        yield "A C compiler and linker (cc) is missing. On Debian and Ubuntu: apt-get install build-essential"
    cargo = shutil.which("cargo")
    if cargo is None:
        yield f"cargo is missing. Install Rust {cargo_minimum()} or newer, for example with rustup"
        return
    said = subprocess.run([cargo, "--version"], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"cargo ([\d.]+)", said)
    if found is None or numbers(found.group(1)) < numbers(cargo_minimum()):
        yield "cargo {} or newer is needed; `cargo --version` says: {}".format(
            cargo_minimum(), said.strip() or "nothing"
        )


def main() -> int:
    """Print what is missing; exit 1 if anything is."""
    faults = list(missing())
    for fault in faults:
        print("ternmq cannot be built here: " + fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
