"""Apache's own servers: three NameServers, and broker groups in the mode that answers to one of ours."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benches.figures import APACHE
from benches.servers.running import Servers
from support.apache import ApacheCluster
from ternmq.config.generate import MEMBERS
from ternmq.config.settings import Flush
from ternmq.config.topology import Mode

SEGMENT_BYTES = 256 << 20


@contextlib.contextmanager
def apache(folder: Path, *, groups: int = 1, mode: Mode = "raft", flush: Flush = "async") -> Iterator[Servers]:
    """Run Apache's cluster for the time of a block; unwritten pages of it do not disturb what comes afterwards.

    Args:
        folder: where its data lies; a new folder is made in it.
        groups: broker groups.
        mode: how the groups replicate: DLedger for `raft`.
        flush: `flushDiskType`; DLedger acknowledges from page cache, whatever this says.
    """
    directory = folder / f"apache-{time.monotonic_ns()}"
    cluster = ApacheCluster(
        directory,
        replicas=MEMBERS[mode],
        nameservers=3,
        groups=groups,
        double_write=mode == "sync-double-write",
        flush=flush,
        segment_bytes=SEGMENT_BYTES,
    )
    begin = time.monotonic()
    try:
        cluster.up()
        yield Servers(APACHE, cluster, tuple(cluster.nodes), tuple(cluster.groups), time.monotonic() - begin)
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)
        os.sync()
