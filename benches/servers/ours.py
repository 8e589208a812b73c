"""Our servers, as `ternmq up` starts them, with the log segments that large rows need."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benches.figures import OURS
from benches.servers.running import Servers
from support.cluster import Cluster
from support.ports import free_block
from support.tern import PORTS_FOR_NAMESERVERS, PORTS_PER_GROUP, PROGRAM, UP_SECONDS
from ternmq.config import dump_topology, generate_topology
from ternmq.config.settings import Flush
from ternmq.config.timing import Profile
from ternmq.config.topology import Mode

SEGMENT = "256MiB"


class BenchCluster(Cluster):
    """A cluster whose topology file is there before `up`, which then continues it.

    Args:
        directory: data directory; made here.
        groups: number of broker groups.
        timing: election times; None leaves the choice to the servers.
        mode: how the groups replicate.
        flush: when a message counts as written.
    """

    def __init__(
        self,
        directory: Path,
        *,
        groups: int = 1,
        timing: Profile | None = None,
        mode: Mode = "raft",
        flush: Flush = "sync",
    ) -> None:
        super().__init__(directory, groups=groups)
        base = free_block(PORTS_FOR_NAMESERVERS + groups * PORTS_PER_GROUP)
        topology = generate_topology(directory, groups=groups, base_port=base, mode=mode, flush=flush)
        defaults = msgspec.structs.replace(topology.defaults, segment_size=SEGMENT, timing=timing)
        topology = msgspec.structs.replace(topology, defaults=defaults)
        (directory / "topology.toml").write_text(dump_topology(topology))

    def up(self) -> None:
        """Start everything; returns when every NameServer shows a master and all members of every group."""
        self._take(json.loads(self._command("up", "--detach", "--json", "--no-restart", within=UP_SECONDS)))

    def down(self) -> None:
        """Stop everything, also what an interrupted `up` has started."""
        if self.nodes:
            super().down()
        else:
            subprocess.run([PROGRAM, "down", "--data", self.directory], capture_output=True, check=False)


def create_topic(servers: Servers, topic: str, queues: int) -> None:
    """Make a topic on all groups, as an operator does."""
    words = ["topic", "create", topic, "--queues", str(queues), "-n", servers.subject.nameservers]
    subprocess.run([PROGRAM, *words], check=True, capture_output=True)


@contextlib.contextmanager
def ours(
    folder: Path, *, groups: int = 1, timing: Profile | None = None, mode: Mode = "raft", flush: Flush = "sync"
) -> Iterator[Servers]:
    """Run our cluster for the time of a block.

    Args:
        folder: where its data lies; a new folder is made in it.
        groups: broker groups.
        timing: election times.
        mode: how the groups replicate.
        flush: when a message counts as written.
    """
    directory = folder / f"ours-{time.monotonic_ns()}"
    cluster = BenchCluster(directory, groups=groups, timing=timing, mode=mode, flush=flush)
    begin = time.monotonic()
    try:
        cluster.up()
        yield Servers(OURS, cluster, tuple(cluster.nodes), tuple(cluster.groups), time.monotonic() - begin)
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)
