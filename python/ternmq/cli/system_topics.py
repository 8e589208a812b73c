"""Topics that a broker makes for itself; people rarely want to see them.

Source: RocketMQ 5.x, TopicValidator and TopicConfigManager#init.
"""

from __future__ import annotations

from collections.abc import Iterable

_FIXED = frozenset(
    {
        "TBW102",
        "SELF_TEST_TOPIC",
        "BenchmarkTest",
        "OFFSET_MOVED_EVENT",
        "SCHEDULE_TOPIC_XXXX",
        "RMQ_SYS_TRACE_TOPIC",
        "RMQ_SYS_TRANS_HALF_TOPIC",
        "RMQ_SYS_TRANS_OP_HALF_TOPIC",
        "TRANS_CHECK_MAX_TIME_TOPIC",
        "CHECKPOINT_TOPIC",
    }
)


def is_system_topic(name: str, own_names: Iterable[str]) -> bool:
    """Say whether a topic belongs to the brokers or to a consumer group's retries.

    Args:
        name: of the topic.
        own_names: names of clusters and broker groups, which have topics of the same name.
    """
    if name in _FIXED or name.startswith(("rmq_sys_", "%RETRY%", "%DLQ%")):
        return True
    return any(name in (own, f"{own}_REPLY_TOPIC") for own in own_names)
