"""What a cluster takes of the disk before anybody has used it, and while nobody does."""

import subprocess
import time
from pathlib import Path

from support.cluster import MakeCluster, make_cluster

__all__ = ["make_cluster"]

MIB = 1 << 20
# The reserve for ops of segments of 64 MiB, a step of 4 MiB, and small files beside the log.
MIB_PER_REPLICA = 14
IDLE_SECONDS = 3


def taken(folder: Path) -> int:
    """Bytes of the disk, as `du` counts them."""
    return int(subprocess.run(["du", "-s", "-B1", folder], capture_output=True, check=True).stdout.split()[0])


def test_an_empty_cluster_takes_some_megabytes_for_each_replica_and_no_more_while_it_is_idle(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster(groups=2)
    data = cluster.directory / "data"
    segments = [file for file in data.rglob("log/*") if file.is_file()]
    assert len(segments) == len(cluster.brokers) == 6, "a spare segment has no file of its own yet"
    at_first = taken(data)
    assert at_first <= MIB_PER_REPLICA * MIB * len(cluster.brokers)
    time.sleep(IDLE_SECONDS)
    assert taken(data) - at_first < MIB
