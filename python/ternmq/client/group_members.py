"""The members of a group and what each reads: which members share a topic, and where they do not agree. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ternmq.errors import BodyError
from ternmq.protocol.names import RETRY_PREFIX
from ternmq.protocol.tables import SubscriptionSet, decode_consumer_list

_NAMED = 5
"""Client ids that a line names of each side."""


class GroupMembers(NamedTuple):
    """The members of a group as a leader knows them.

    Args:
        ids: client ids, sorted.
        subscription_sets: what each subscribes to, without members of which the broker does not know it yet. None from
            brokers that do not tell.
    """

    ids: tuple[str, ...]
    subscription_sets: Mapping[str, SubscriptionSet] | None = None

    def sharers(self, topic: str) -> tuple[str, ...]:
        """The members that share a topic, sorted: its subscribers if all of them share it so, else the whole group.

        Every member comes to the same list from the same answer. A subscriber of another library shares with the whole
        group whatever we do, so that nothing else would fit together with it.
        """
        if self.subscription_sets is None or len(self.subscription_sets) < len(self.ids):
            return self.ids
        readers = tuple(member for member in self.ids if topic in self.subscription_sets[member].subscriptions)
        return readers if all(self.subscription_sets[member].shares_by_topic for member in readers) else self.ids

    def all_read(self, topic: str, retry_topic: str) -> bool:
        """Whether all members that read the retry topic read this topic too, as far as is known."""
        subscription_sets = (self.subscription_sets or {}).values()
        return all(topic in each.subscriptions for each in subscription_sets if retry_topic in each.subscriptions)

    def disputes(self) -> list[str]:
        """Disagreements between members by which messages are lost to the group, as sentences."""
        subscription_sets = self.subscription_sets or {}
        found = []
        for topic in sorted({topic for each in subscription_sets.values() for topic in each.subscriptions}):
            if topic.startswith(RETRY_PREFIX):
                continue  # pull consumers do not read it, and no member filters it
            readers = [
                member
                for member in self.ids
                if member in subscription_sets and topic in subscription_sets[member].subscriptions
            ]
            sides = defaultdict(list)
            for member in readers:
                sides[f"{subscription_sets[member].subscriptions[topic]!r}"].append(member)
            if len(sides) > 1:
                found.append(
                    f"they read topic {topic} with different filters, {named(sorted(sides.items()))}; what one of "
                    "them does not want is passed over for the others, so give each filter a group of its own"
                )
            others = [member for member in self.ids if member in subscription_sets and member not in readers]
            if others and not all(subscription_sets[member].shares_by_topic for member in readers):
                found.append(
                    f"not all of them read topic {topic}, {named([('yes', readers), ('no', others)])}, and some share "
                    "it with the whole group, as clients of other libraries do: the queues that fall to the others are "
                    "read by nobody, so give each topic a group of its own"
                )
        return found


def read_members(body: bytes) -> GroupMembers:
    """Read the answer to 38.

    Raises:
        BodyError: not readable, or its parts do not belong together.
    """
    data = decode_consumer_list(body)
    ids = tuple(sorted(data.consumer_id_list))
    set_indexes, sets = data.set_of_consumer, data.subscription_sets
    if set_indexes is None or sets is None:
        return GroupMembers(ids)
    if len(set_indexes) != len(data.consumer_id_list) or any(index >= len(sets) for index in set_indexes):
        raise BodyError("a list of members names other subscriptions than it has")
    pairs = zip(data.consumer_id_list, set_indexes, strict=True)
    return GroupMembers(ids, {member: sets[index] for member, index in pairs if index >= 0})


def named(sides: Iterable[tuple[str, list[str]]]) -> str:
    """Name some client ids of each side, for a line that stays short in a large group."""
    parts = []
    for what, members in sides:
        more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
        parts.append(f"{what}: {', '.join(members[:_NAMED])}{more}")
    return "; ".join(parts)
