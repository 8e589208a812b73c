"""The limit of file descriptors."""

import subprocess
import sys

PROGRAM = """
import resource
from ternmq.cli.serving import prepare
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 100), hard))
prepare(None)
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_a_node_may_open_as_many_files_as_the_system_allows_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "True\n"
