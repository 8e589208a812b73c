"""Cluster operations as functions: what an operator asks of a running cluster, over the wire."""

from ternmq.admin.leadership import ReplicaStatus, Transfer, group_members, replica_status, transfer_leader

__all__ = ["ReplicaStatus", "Transfer", "group_members", "replica_status", "transfer_leader"]
