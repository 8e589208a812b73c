"""Cluster operations as functions: what an operator asks of a running cluster, over the wire."""

from ternmq.admin.leadership import (
    Promotion,
    ReplicaStatus,
    Transfer,
    group_members,
    promote_slave,
    replica_status,
    transfer_leader,
)

__all__ = [
    "Promotion",
    "ReplicaStatus",
    "Transfer",
    "group_members",
    "promote_slave",
    "replica_status",
    "transfer_leader",
]
