"""README.md does what it shows, and the script that runs it sees when it does not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "readme.py"
UNTIL_TERM = """\
import signal, time

signal.signal(signal.SIGTERM, lambda *_: exit({code}))
print("ready", flush=True)
time.sleep(60)
"""
UNTIL_READY = "<!-- readme: runs until ready -->\n"
FAULTS = {
    "a command": ("```sh\nfalse\n```", "it failed with 1"),
    "a command before a pipe": ("```sh\nfalse | cat\n```", "it failed with 1"),
    "a sentence": ("```sh\necho 'error: no' >&2\n```", "error: no"),
    "an exception": ("```python\nassert 1 == 2\n```", "Traceback"),
    "an exit code": ("```python\nraise SystemExit(3)\n```", "it failed with 3"),
    "a log line": ("```python\nprint('2026-11-30T00:00:00Z ERROR x')\n```", "ERROR x"),
    "a code at SIGTERM": (f"{UNTIL_READY}```python\n{UNTIL_TERM.format(code=5)}```", "it ended with 5 at SIGTERM"),
    "an end before": (f"{UNTIL_READY}```sh\necho done\n```", "it did not print 'ready'"),
    "two commands": (f"{UNTIL_READY}```sh\necho ready\necho done\n```", "is one command"),
    "a language": ("```java\n```", "nobody knows how to run a block of java"),
    "a block without an end": ("```sh\necho x\n", "does not end"),
}
# What only prints an error does not stop the shell.
GOES_ON = {"a sentence", "a log line"}


def test_the_readme_runs_from_top_to_bottom_in_a_fresh_shell() -> None:
    done = _run(ROOT / "README.md")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_make_target_in_the_readme_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("fault", FAULTS)
def test_a_block_that_fails_or_prints_an_error_is_red_and_named(tmp_path: Path, fault: str) -> None:
    second, complaint = FAULTS[fault]
    readme = tmp_path / "README.md"
    readme.write_text(f"# x\n\n```sh\necho fine\n```\n\ntext\n\n{second}\n\n```sh\necho last\n```\n")
    done = _run(readme, 10)
    assert done.returncode == 1
    assert complaint in done.stderr
    line = 10 if second.startswith("<!--") else 9
    assert f"line {line}" in done.stderr
    assert ("last" in done.stdout.splitlines()) == (fault in GOES_ON)


def test_what_does_not_end_in_time_is_ended_and_named(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("```sh\nsleep 600\n```\n")
    done = _run(readme, 1)
    assert done.returncode == 1
    assert "line 1: it did not end in time" in done.stderr


def test_blocks_share_a_shell_and_a_folder_and_see_nothing_of_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERNMQ_ENDPOINTS", "elsewhere:9876")
    readme = tmp_path / "README.md"
    readme.write_text(
        "```sh\nexport A=1\ntest -z ${TERNMQ_ENDPOINTS:-}\n```\n"
        "<!-- readme: file some.conf -->\n\n```properties\nkey=value\n```\n"
        "```sh\ntest $A = 1\ngrep -q key=value some.conf\n```\n"
        f"<!-- readme: runs until ready -->\n```python\n{UNTIL_TERM.format(code=0)}```\n"
        "<!-- readme: not run, it would fail -->\n```sh\nfalse\n```\n"
    )
    done = _run(readme)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith("@@")] == ["ready"]


def _run(readme: Path, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, readme, str(seconds)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd="/",
    )
