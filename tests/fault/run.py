"""The long fault run from a shell: `PYTHONPATH=tests python -m fault.run --kills 50`.

The folder with the cluster's logs and the history is kept when something was wrong. Exit code 0 only for a clean run.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import get_args

from fault.loop import run
from fault.result import Settings
from support import maven
from ternmq.config.topology import Mode

JAVA_CLIENTS = ("5.5.0", "4.9.8")


def main() -> int:
    """Read the arguments, run, print figures and violations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0, help="sends a second")
    parser.add_argument("--apache", action="store_true", help="run against Apache's servers instead of ours")
    parser.add_argument("--plain-client", action="store_true", help="load by a client in plain Python, not ours")
    parser.add_argument("--mode", choices=get_args(Mode), default="raft", help="how the group replicates")
    parser.add_argument("--no-java", action="store_true", help="without the push consumers of the Java clients")
    chosen = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="ternmq-fault-"))
    java_clients: tuple[str, ...] = ()
    if not chosen.no_java:
        java_clients = JAVA_CLIENTS if not maven.missing() else ()
        if not java_clients:
            _say(f"skipped: the Java push consumers, as {maven.missing()} is not installed")
    settings = Settings(
        chosen.kills, chosen.seed, chosen.rate, chosen.apache, chosen.plain_client, java_clients, chosen.mode
    )
    result = asyncio.run(run(settings, directory, _say))
    for violation in result.violations[:50]:
        _say(violation)
    for name in result.unseen:
        _say(f"{name}: nothing was there to look at")
    for note in result.slow:
        _say(note)
    _say(result.line())
    _say(result.summary())
    if result.is_clean:
        shutil.rmtree(directory)
        return 0
    _say(f"history and logs are kept in {directory}")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
