"""Standard output that is closed, or cannot say every letter."""

import os
import subprocess

import pytest

from support.cluster import Cluster
from support.tern import PROGRAM


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["topic list", "ps"])
def test_a_closed_stream_is_no_mistake(cluster: Cluster, command: str, closed: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{PROGRAM} {command} --data {cluster.directory} {closed}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_without_an_output_fails_as_it_would_with_one() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{PROGRAM} topic list --endpoints 127.0.0.1:1 >&-"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert "127.0.0.1:1 cannot be reached" in done.stderr


def test_help_is_printed_in_an_encoding_that_lacks_its_letters() -> None:
    done = subprocess.run(
        [PROGRAM, "topic", "list", "--help"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "--endpoints" in done.stdout
