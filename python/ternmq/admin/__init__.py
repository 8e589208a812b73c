"""Cluster operations as functions: what an operator asks of a running cluster, over the wire."""

from ternmq.admin.contents import GroupContents, read_all_contents
from ternmq.admin.drain import (
    Unread,
    check_drained,
    describe_unread,
    find_unread,
    reject_sends_when_quiet,
    set_read_only,
    wait_until_read,
    why_not_drained,
)
from ternmq.admin.health import Finding, look_at_health
from ternmq.admin.leadership import (
    FollowerStatus,
    Promotion,
    ReplicaStatus,
    Transfer,
    group_members,
    promote_slave,
    replica_status,
    transfer_leader,
)
from ternmq.admin.masters import GroupMasters, cluster_groups, group_masters, groups_beside, own_names
from ternmq.admin.rebalance import (
    CopyConsumerGroup,
    RebalancePlan,
    StaysPut,
    WidenTopic,
    carry_out,
    plan_rebalance,
)
from ternmq.admin.replicas import ReplicaRow, replica_rows

__all__ = [
    "CopyConsumerGroup",
    "Finding",
    "FollowerStatus",
    "GroupContents",
    "GroupMasters",
    "Promotion",
    "RebalancePlan",
    "ReplicaRow",
    "ReplicaStatus",
    "StaysPut",
    "Transfer",
    "Unread",
    "WidenTopic",
    "carry_out",
    "check_drained",
    "cluster_groups",
    "describe_unread",
    "find_unread",
    "group_masters",
    "group_members",
    "groups_beside",
    "look_at_health",
    "own_names",
    "plan_rebalance",
    "promote_slave",
    "read_all_contents",
    "reject_sends_when_quiet",
    "replica_rows",
    "replica_status",
    "set_read_only",
    "transfer_leader",
    "wait_until_read",
    "why_not_drained",
]
