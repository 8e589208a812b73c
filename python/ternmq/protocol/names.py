"""Names of topics and groups, and the topics that belong to the broker itself.

Source: RocketMQ 5.x, TopicValidator. A name is checked at the edge of every request that carries one, and never becomes
part of a path.
"""

import re
from collections.abc import Iterable

from ternmq import _core

_LEGAL = re.compile(r"[%|a-zA-Z0-9_-]+")
_LEGAL_AS_TEXT = "^[%|a-zA-Z0-9_-]+$"

# Said once, in the engine.
MAX_TOPIC_LENGTH = _core.MAX_TOPIC_LENGTH
MAX_RETRY_TOPIC_LENGTH = _core.MAX_RETRY_TOPIC_LENGTH
MAX_GROUP_LENGTH = _core.MAX_GROUP_LENGTH
RETRY_PREFIX = _core.RETRY_PREFIX
DLQ_PREFIX = _core.DLQ_PREFIX
DEFAULT_TOPIC = _core.DEFAULT_TOPIC
"""TBW102: new topics are made after its model, by brokers that make them by themselves."""
BROKER_PERMISSION = "brokerPermission"
REJECT_SENDS = "rejectSends"
"""Keys of 25 and 26 that are a group's, not a replica's. With the second, ours, no send of a client is taken."""
SYSTEM_TOPICS = frozenset(_core.SYSTEM_TOPICS)
SYSTEM_PREFIX = _core.SYSTEM_PREFIX


def topic_problem(topic: str) -> str | None:
    """Say what is wrong with a topic name, in RocketMQ's words; None if nothing is."""
    if not topic.strip():
        return "The specified topic is blank."
    if not _LEGAL.fullmatch(topic):
        return f"The specified topic contains illegal characters, allowing only {_LEGAL_AS_TEXT}"
    longest = MAX_RETRY_TOPIC_LENGTH if topic.startswith((RETRY_PREFIX, DLQ_PREFIX)) else MAX_TOPIC_LENGTH
    if len(topic) > longest:
        return f"The specified topic is longer than topic max length {longest}."
    return None


def group_problem(group: str) -> str | None:
    """Say what is wrong with the name of a group that is to be created, in RocketMQ's words; None if nothing is."""
    if not group.strip():
        return "the specified group is blank"
    if not _LEGAL.fullmatch(group):
        return f"the specified group contains illegal characters, allowing only {_LEGAL_AS_TEXT}"
    if len(group) > MAX_GROUP_LENGTH:
        return f"the specified group is longer than group max length {MAX_GROUP_LENGTH}"
    return None


def is_system_topic(topic: str) -> bool:
    """Say whether a topic belongs to the broker: the fixed ones and everything that begins rmq_sys_."""
    return topic in SYSTEM_TOPICS or topic.startswith(SYSTEM_PREFIX)


def belongs_to_brokers(topic: str, own_names: Iterable[str]) -> bool:
    """Say whether a topic belongs to the brokers or to a consumer group's retries and dead letters.

    Args:
        topic: its name.
        own_names: names of clusters and broker groups, which have topics of the same name.

    Source: RocketMQ 5.x, TopicConfigManager#init.
    """
    if is_system_topic(topic) or topic.startswith((RETRY_PREFIX, DLQ_PREFIX)):
        return True
    return any(topic in (own, f"{own}_REPLY_TOPIC") for own in own_names)
