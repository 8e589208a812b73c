"""A cluster of one group and three NameServers for one test alone."""

import pytest

from support.cluster import Cluster, MakeCluster, make_cluster

__all__ = ["cluster", "make_cluster"]


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    """Nobody starts dead nodes again but the test."""
    return make_cluster()
