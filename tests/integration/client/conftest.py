"""The client against real clusters."""

from support.cluster import cluster, make_cluster

__all__ = ["cluster", "make_cluster"]
