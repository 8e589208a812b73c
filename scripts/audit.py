"""Hold what ternmq is built from against what is known of it: licences, sources, advisories.

A machine may reach neither the advisories nor the package index. What could not be asked is said and counted, and is no
failure; what was found is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
_WITHIN_S = 300
_LINES_SHOWN = 40

HELD, FOUND, NOT_REACHED = "held", "found something", "not reached"


class Answer(NamedTuple):
    """What a tool said: its exit code, its output and what it complained of."""

    code: int
    out: str
    err: str


class Outcome(NamedTuple):
    """What became of one check.

    Args:
        state: one of `HELD`, `FOUND` and `NOT_REACHED`.
        said: what a person should read.
    """

    state: str
    said: str = ""


Ask = Callable[..., Answer]


def ask(*command: str | Path) -> Answer:
    """Run a tool; one that is not there, or that takes too long, is an answer with code 127."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(127, "", str(error))
    return Answer(done.returncode, done.stdout, done.stderr)


def crates(ask: Ask) -> Iterator[tuple[str, Outcome]]:
    """Check the crates by deny.toml: what needs no network, then the advisories."""
    deny = BIN / "cargo-deny"
    there = ask(deny, "--version")
    if there.code != 0:
        yield "crates", Outcome(NOT_REACHED, f"cargo-deny does not run: {there.err.strip()}")
        return
    # Offline: what Cargo.lock names was fetched for the build.
    rules = ask(deny, "--offline", "check", "bans", "licenses", "sources")
    yield "crates: licences, sources, bans", Outcome(HELD if rules.code == 0 else FOUND, rules.err)
    fetched = ask(deny, "fetch", "db")
    if fetched.code != 0:
        yield "crates: advisories", Outcome(NOT_REACHED, _last_line(fetched.err))
        return
    advisories = ask(deny, "--offline", "check", "--disable-fetch", "advisories")
    yield "crates: advisories", Outcome(HELD if advisories.code == 0 else FOUND, advisories.err)


def packages(ask: Ask) -> Iterator[tuple[str, Outcome]]:
    """Check the Python packages that are pinned, which are also those that users get."""
    audit = (BIN / "pip-audit", "--requirement", "requirements-dev.txt", "--no-deps", "--disable-pip")
    answer = ask(*audit, "--format", "json", "--progress-spinner", "off")
    yield "packages: advisories", judge_packages(answer)


def judge_packages(answer: Answer) -> Outcome:
    """Read what pip-audit says of each package."""
    try:
        listed = json.loads(answer.out)["dependencies"]
    except (ValueError, LookupError):
        return Outcome(NOT_REACHED, _last_line(answer.err) or "pip-audit said nothing")
    known = [
        f"{package['name']} {package['version']}: {', '.join(one['id'] for one in package['vulns'])}"
        for package in listed
        if package.get("vulns")
    ]
    if known:
        return Outcome(FOUND, "\n".join(known))
    unknown = [package["name"] for package in listed if "skip_reason" in package]
    if unknown:
        return Outcome(NOT_REACHED, f"the index says nothing about {len(unknown)} of {len(listed)} packages")
    return Outcome(HELD)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def main(ask: Ask = ask) -> int:
    """Check everything and say what came out; 1 if something was found."""
    counts = dict.fromkeys((HELD, FOUND, NOT_REACHED), 0)
    for check in (crates, packages):
        for name, outcome in check(ask):
            counts[outcome.state] += 1
            print(f"{name}: {outcome.state}")
            if outcome.state != HELD:
                for line in outcome.said.splitlines()[:_LINES_SHOWN]:
                    print(f"    {line}")
    print(f"audit: {counts[HELD]} held, {counts[FOUND]} found something, {counts[NOT_REACHED]} not reached")
    return 1 if counts[FOUND] else 0


if __name__ == "__main__":
    sys.exit(main())
