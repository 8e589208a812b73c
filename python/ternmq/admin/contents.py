"""What one broker group holds: topics, consumer groups, offsets, and its own permission."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ternmq.admin.masters import GroupMasters
from ternmq.config.properties import parse_properties
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.groups import GroupConfig, decode_group_table
from ternmq.protocol.names import BROKER_PERMISSION, REJECT_SENDS
from ternmq.protocol.statistics import decode_consumer_offsets
from ternmq.protocol.topics import PERM_READ_WRITE, PERM_WRITE, TopicConfig, decode_topic_table


@dataclass(frozen=True)
class GroupContents:
    """What a group's master knows.

    Args:
        topics: all topics, those of the system included, by name.
        consumer_groups: all subscription groups by name.
        offsets: topic and consumer group to queue id to committed offset.
        permission: bits with which topics are shown at most, 6 or 4.
        rejects_sends: no send of a client is taken.
    """

    topics: Mapping[str, TopicConfig]
    consumer_groups: Mapping[str, GroupConfig]
    offsets: Mapping[tuple[str, str], Mapping[int, int]]
    permission: int = PERM_READ_WRITE
    rejects_sends: bool = False

    @property
    def is_writable(self) -> bool:
        """Whether producers are shown to it."""
        return bool(self.permission & PERM_WRITE) and not self.rejects_sends

    def readers(self, topic: str) -> set[str]:
        """Consumer groups that have committed an offset of a topic here."""
        return self._readers.get(topic, set())

    @cached_property
    def _readers(self) -> dict[str, set[str]]:
        readers: dict[str, set[str]] = {}
        for topic, group in self.offsets:
            readers.setdefault(topic, set()).add(group)
        return readers


async def read_contents(masters: GroupMasters, group: str) -> GroupContents:
    """Ask a group's master for all that it holds.

    Args:
        masters: of the cluster.
        group: broker name.

    Raises:
        NotFoundError: no such group.
        MQError: its master does not answer, or not readably.
    """
    topics, consumer_groups, offsets, settings = await asyncio.gather(
        masters.ask(group, RequestCode.GET_ALL_TOPIC_CONFIG),
        masters.ask(group, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG),
        masters.ask(group, RequestCode.GET_ALL_CONSUMER_OFFSET),
        masters.ask(group, RequestCode.GET_BROKER_CONFIG),
    )
    shown = {entry.key: entry.value for entry in parse_properties(settings.body.decode())}
    return GroupContents(
        decode_topic_table(topics.body).topic_config_table,
        decode_group_table(consumer_groups.body).subscription_group_table,
        decode_consumer_offsets(offsets.body),
        int(shown.get(BROKER_PERMISSION, PERM_READ_WRITE)),
        shown.get(REJECT_SENDS) == "true",
    )


async def read_all_contents(masters: GroupMasters, groups: Iterable[str]) -> dict[str, GroupContents]:
    """As `read_contents`, of several groups at once."""
    listed = list(groups)
    found = await asyncio.gather(*(read_contents(masters, group) for group in listed))
    return dict(zip(listed, found, strict=True))


def is_ordered(config: TopicConfig) -> bool:
    """Say whether messages of a topic must stay in the queues that they have: its keys are spread over their number."""
    return config.order or config.attributes.get("message.type") == "FIFO"
