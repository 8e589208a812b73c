"""Who reads which queue: a pure function of the sorted queues and the sorted members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Q = TypeVar("Q")


def allocate_average(queues: Sequence[Q], members: Sequence[str], member: str) -> list[Q]:
    """Give a member its run of neighbouring queues; the first members get one more where it does not divide.

    Every member computes this alone, so all must see both lists in the same order.

    Args:
        queues: all readable queues of the topic, sorted by topic, broker name, queue id.
        members: client ids of the group, sorted as strings.
        member: the client id asked about; gets nothing if it is not among the members.

    Source: RocketMQ, AllocateMessageQueueAveragely.
    """
    if member not in members:
        return []
    index = members.index(member)
    count, parties = len(queues), len(members)
    remainder = count % parties
    one_more = remainder > 0 and index < remainder
    size = 1 if count <= parties else count // parties + one_more
    start = index * size if one_more else index * size + remainder
    return list(queues[start : start + size])
