"""What people type, also wrongly, and the streams that they type it with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ternmq
from ternmq.cli import main
from ternmq.cli.output import json_text
from ternmq.wording import counted

_PROGRAM = [sys.executable, "-m", "ternmq"]


def _run(*arguments: str, shell: str = "", encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, its streams changed by a shell as `shell` says."""
    command = ["bash", "-c", f'exec "$@" {shell}', "bash", *_PROGRAM, *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_package_is_a_program_and_says_its_version(option: str) -> None:
    assert _run(option).stdout == f"ternmq {ternmq.__version__}\n"


@pytest.mark.parametrize("command", [[], ["ps"], ["topic"], ["topic", "list"], ["run", "broker"]])
def test_the_short_form_of_help_is_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*command, "--help"]) == 0
    expected = capsys.readouterr().out
    assert main.run([*command, "-h"]) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("line", "sentence", "hint"),
    [
        ("--json ps", "--json stands before the command", "`ternmq ps --json`"),
        ("-q topic list", "-q stands before the command", "`ternmq topic -q`"),
        ("topic --data x list", "--data stands before the command", "`ternmq topic COMMAND --data`"),
        ("consume x -n", "'-n' requires an argument", "`ternmq consume --help`"),
        ("topic create x --queues", "'--queues' requires an argument", "`ternmq topic create --help`"),
        ("pss", "Did you mean 'ps'?", "`ternmq --help`"),
        ("topics list", "Did you mean 'topic'?", "`ternmq --help`"),
        ("ps --jsno", "Did you mean '--json'?", "`ternmq ps --help`"),
    ],
)
def test_a_mistyped_line_is_answered_with_what_was_meant(
    line: str, sentence: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(line.split()) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.endswith(f"try: {hint}\n")


@pytest.mark.parametrize("command", [[], ["start"], ["topic", "list"], ["run", "broker"]])
def test_help_can_be_written_in_ascii(command: list[str]) -> None:
    done = _run(*command, "--help", encoding="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


@pytest.mark.parametrize("shell", [">&-", "<&-", "2>&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed_is_as_one_that_leads_nowhere(shell: str, tmp_path: Path) -> None:
    done = _run("ps", "--data", str(tmp_path), shell=shell)
    assert done.returncode == 1
    assert "mistake" not in done.stderr
    assert "no cluster runs in" in done.stderr or "2>&-" in shell
    assert _run("--help", shell=shell).returncode == 0


def test_json_stays_json_where_stdout_speaks_ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json_text({"tag": "Grüße"}) == '{"tag": "Grüße"}'
    with open(os.devnull, "w", encoding="ascii") as narrow:  # noqa: PTH123  # a device
        monkeypatch.setattr(sys, "stdout", narrow)
        text = json_text({"tag": "Grüße"})
        monkeypatch.undo()
    assert text.isascii()
    assert json.loads(text) == {"tag": "Grüße"}


def test_what_the_system_refuses_is_a_sentence_without_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["up", "--detach", "--data", "/proc/nope"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: the folder /proc/nope cannot be made: No such file or directory\n")
    assert "Errno" not in told


def test_one_of_a_thing_has_no_plural() -> None:
    assert [counted(number, "message") for number in (0, 1, 2)] == ["0 messages", "1 message", "2 messages"]
