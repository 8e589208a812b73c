"""Apache's own servers: three NameServers and three DLedger replicas, which acknowledge from page cache."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benches.figures import APACHE
from benches.servers.running import Servers
from support.apache import ApacheCluster

SEGMENT_BYTES = 256 << 20


@contextlib.contextmanager
def apache(folder: Path) -> Iterator[Servers]:
    """Run Apache's cluster for the time of a block; unwritten pages of it do not disturb what comes afterwards.

    Args:
        folder: where its data lies; a new folder is made in it.
    """
    directory = folder / f"apache-{time.monotonic_ns()}"
    cluster = ApacheCluster(directory, replicas=3, nameservers=3, segment_bytes=SEGMENT_BYTES)
    begin = time.monotonic()
    try:
        cluster.up()
        yield Servers(APACHE, cluster, tuple(cluster.nodes), (cluster.group,), time.monotonic() - begin)
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)
        os.sync()
