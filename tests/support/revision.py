"""Which commit is measured, for the line that a page of figures must have."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def measured_by(command: str) -> str:
    """The beginning of a sentence: the command and the commit that figures come from.

    With changes that are not committed it says so, which a test of the documents does not accept: nobody could repeat
    such a run.
    """
    commit = _git("rev-parse", "--short=7", "HEAD")
    changed = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"Measured by `{command}` at commit {commit}{changed}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
