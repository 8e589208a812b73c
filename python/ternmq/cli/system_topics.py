"""Topics that a broker makes for itself; people rarely want to see them.

Source: RocketMQ 5.x, TopicConfigManager#init.
"""

from __future__ import annotations

from collections.abc import Iterable

from ternmq.protocol import names


def is_system_topic(name: str, own_names: Iterable[str]) -> bool:
    """Say whether a topic belongs to the brokers or to a consumer group's retries.

    Args:
        name: of the topic.
        own_names: names of clusters and broker groups, which have topics of the same name.
    """
    if names.is_system_topic(name) or name.startswith((names.RETRY_PREFIX, names.DLQ_PREFIX)):
        return True
    return any(name in (own, f"{own}_REPLY_TOPIC") for own in own_names)
