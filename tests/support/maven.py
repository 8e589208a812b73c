"""Builds the small Maven projects of the tests, once for each content, from the local repository where it can.

A project is a folder with a `pom.xml` that takes its output directory from the property `output.directory` and copies
its dependencies to `lib` below it.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "target" / "java"
BUILD_SECONDS = 300


def missing() -> str | None:
    """What of Java and Maven is not installed; None where both are there."""
    return next((program for program in ("java", "mvn") if shutil.which(program) is None), None)


def require_java() -> None:
    """Skip the test, by name and with the reason, where Java or Maven is missing."""
    if program := missing():
        pytest.skip(f"{program} is not installed")


def build(project: Path, properties: dict[str, str] | None = None) -> Path:
    """Build a project unless its sources are built already.

    Args:
        project: folder of the `pom.xml`.
        properties: of the `pom.xml`, with values other than those written there.

    Returns:
        The output directory: jars in it and in its `lib`.
    """
    require_java()
    chosen = properties or {}
    output = CACHE / "-".join([project.name, *chosen.values(), _content_hash(project)])
    if (output / "complete").exists():
        return output
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    command = ["mvn", "-q", "-B", "-f", str(project / "pom.xml"), f"-Doutput.directory={output}", "package"]
    command += [f"-D{name}={value}" for name, value in chosen.items()]
    # Offline first: a warm local repository needs no network, and then none is asked.
    first = _run([*command, "--offline"])
    if first.returncode != 0:
        second = _run(command)
        if second.returncode != 0:
            report = second.stdout + second.stderr
            if "Could not transfer" in report or "Unknown host" in report:
                pytest.skip(f"Maven Central cannot be reached and the local repository lacks what {project.name} needs")
            pytest.fail(f"{project.name} does not build:\n{report}")
    (output / "complete").touch()
    return output


def classpath(output: Path) -> str:
    """The class path of a built project."""
    return f"{output}/*:{output}/lib/*"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)


def _content_hash(project: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        if path.is_file() and path.suffix in {".java", ".xml"} and "target" not in path.parts[len(project.parts) :]:
            digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
