"""A client of a cluster in memory."""

from support.memory.cluster import MemoryCluster, virtual_wall_clock_ms
from ternmq.client.connection import Client


def connect(cluster: MemoryCluster, timeout: float = 3.0) -> Client:
    """A client whose network is the cluster's."""
    return Client(cluster.endpoints, timeout, cluster.network.open_endpoint, virtual_wall_clock_ms)
