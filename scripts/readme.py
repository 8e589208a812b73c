"""Run what README.md shows, from top to bottom, as a newcomer would: in a fresh shell and a fresh folder.

`python scripts/readme.py [FILE [SECONDS]]` takes the blocks of `sh`, `python` and `properties` in their order: commands
go to one shell, programs are saved and run, files are written. It ends at the first that fails, after 240 s or SECONDS,
and with 1 if anything failed or printed an error, whose line it names. The command `ternmq` must be installed beside
the Python that runs this.

A comment before a block says what the block alone does not:

    <!-- readme: not run, REASON -->     for a block that needs more than the installed command
    <!-- readme: file NAME -->           what the block is saved as
    <!-- readme: runs until TEXT -->     it gets SIGTERM when it has printed TEXT, and must end with 0 then

Where the kernel lets it, all of it runs in a network and a process tree of its own: every port is free, nothing outside
is reached, and nothing is left behind.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
WITHIN_SECONDS = 240
ALONE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_LOOPBACK_UP = (
    "import fcntl, socket, struct;"
    " fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh22x', b'lo', 1))  # SIOCSIFFLAGS, IFF_UP"
)
_FENCE = re.compile(r"^```(\w*)\s*$")
_MARK = re.compile(r"^<!-- readme: (not run, |file |runs until )(.+) -->$")
_ERROR = re.compile(r"^(error: |Traceback \(most recent call last\)|\S+Error: )|\b(ERROR|CRITICAL)\b")
_STEP = "@@ "
# How `timeout` says that time was up: as its own code, or by dying with its process group.
_KILLED = (137, -9)

# What a block that runs until SIGTERM gets: its command follows.
_FUNCTIONS = """\
runs_until() {
    local text=$1 said=$2 pid; shift 2
    "$@" > "$said" 2>&1 & pid=$!
    for _ in $(seq 300); do
        if grep -qF -- "$text" "$said" || ! kill -0 $pid 2> /dev/null; then break; fi
        sleep 0.1
    done
    if ! grep -qF -- "$text" "$said"; then cat "$said"; echo "error: it did not print '$text' in 30 s"; return 1; fi
    kill -TERM $pid
    local code=0; wait $pid || code=$?
    cat "$said"
    if [ $code -ne 0 ]; then echo "error: it ended with $code at SIGTERM"; return 1; fi
}
"""


@dataclass(frozen=True)
class Block:
    """A block of the file, the line where it begins, and what the comment before it says."""

    line: int
    language: str
    text: str
    verb: str = ""
    argument: str = ""


def blocks(text: str) -> Iterator[Block]:
    """Find the blocks of a Markdown text in their order.

    Raises:
        ValueError: a block does not end.
    """
    lines = text.splitlines()
    verb = argument = ""
    at = 0
    while at < len(lines):
        mark, fence = _MARK.match(lines[at]), _FENCE.match(lines[at])
        if mark:
            verb, argument = mark[1].strip(" ,"), mark[2]
        elif fence:
            end = next((number for number in range(at + 1, len(lines)) if lines[number].startswith("```")), None)
            if end is None or lines[end] != "```":
                raise ValueError(f"the block of line {at + 1} does not end")
            yield Block(at + 1, fence[1], "\n".join(lines[at + 1 : end]) + "\n", verb, argument)
            at, verb = end, ""
        elif lines[at].strip():
            verb = ""
        at += 1


def script(found: list[Block], folder: Path) -> str:
    """Write the blocks beside the folder in which they will run, and return the shell script that runs them.

    Args:
        found: the blocks of the file.
        folder: where files are saved that the file names.

    Raises:
        ValueError: a block has a language that nobody runs, or needs a name.
    """
    parts = ["set -euo pipefail\n", _FUNCTIONS]
    for block in found:
        if block.verb == "not run":
            continue
        parts.append(f"echo {shlex.quote(_STEP + str(block.line))}\n")
        if block.language == "python":
            name = block.argument if block.verb == "file" else f"program-{block.line}.py"
            (folder / name).write_text(block.text)
            command = f"python {shlex.quote(name)}"
        elif block.language == "sh":
            command = block.text.rstrip()
        elif block.language == "properties" and block.verb == "file":
            (folder / block.argument).write_text(block.text)
            continue
        else:
            raise ValueError(f"line {block.line}: nobody knows how to run a block of {block.language or 'no language'}")
        if block.verb == "runs until":
            if "\n" in command:
                raise ValueError(f"line {block.line}: what runs until SIGTERM is one command")
            command = f"runs_until {shlex.quote(block.argument)} said-{block.line} {command}"
        parts.append(command + "\n")
    return "".join(parts)


def run(readme: Path, within: float) -> list[str]:
    """Run a file's blocks.

    Args:
        readme: the file.
        within: seconds for all of it.

    Returns:
        What is wrong, a sentence each; nothing if all went well. What the blocks print goes to standard output.
    """
    with tempfile.TemporaryDirectory(prefix="readme-") as directory:
        folder = Path(directory)
        text = script(list(blocks(readme.read_text())), folder)
        alone = list(ALONE) if _can_be_alone() else []
        if alone:
            text = f"{shlex.quote(sys.executable)} -c {shlex.quote(_LOOPBACK_UP)}\n{text}"
        process = subprocess.Popen(
            # SIGKILL, as a shell that is the first process of a tree ignores SIGTERM.
            ["timeout", "--signal=KILL", str(within), *alone, "bash", "--noprofile", "--norc", "-c", text],
            cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wrong = list(_watched(process, readme.name))
        if process.wait() != 0 and not alone:
            subprocess.run(["ternmq", "down"], cwd=folder, env=_environment(folder), check=False, capture_output=True)
        return wrong


def _watched(process: subprocess.Popen[str], name: str) -> Iterator[str]:
    """Print what the shell prints, and find what is wrong."""
    assert process.stdout is not None
    step = "0"
    found = False
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        if line.startswith(_STEP):
            step = line.removeprefix(_STEP).strip()
        elif _ERROR.search(line):
            found = True
            yield f"{name}, block of line {step}: {line.strip()}"
    code = process.wait()
    if code != 0 and not found:
        said = "it did not end in time" if code in _KILLED else f"it failed with {code}"
        yield f"{name}, block of line {step}: {said}"


def _can_be_alone() -> bool:
    try:
        return subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _environment(home: Path) -> dict[str, str]:
    """A fresh login's, with the installed command first; where nothing is installed, a checkout's PYTHONPATH."""
    fresh = {
        "HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
        "TERM": "dumb", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    if "PYTHONPATH" in os.environ:
        fresh["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return fresh


def main() -> int:
    """Run the file that is named, or README.md; 1 when something is wrong."""
    readme = Path(sys.argv[1]) if len(sys.argv) > 1 else README
    try:
        wrong = run(readme, float(sys.argv[2]) if len(sys.argv) > 2 else WITHIN_SECONDS)
    except ValueError as error:
        wrong = [str(error)]
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
