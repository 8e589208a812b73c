"""Topic configurations and the version of a topic table."""

from typing import Any

import msgspec

from ternmq import _core
from ternmq.protocol.fastjson import decode_as

PERM_INHERIT = _core.PERM_INHERIT
PERM_WRITE = _core.PERM_WRITE
PERM_READ = _core.PERM_READ
PERM_READ_WRITE = PERM_READ | PERM_WRITE

SYS_FLAG_UNIT = _core.SYS_FLAG_UNIT
SYS_FLAG_UNIT_SUB = _core.SYS_FLAG_UNIT_SUB


class Bean(msgspec.Struct, frozen=True, rename="camel", omit_defaults=False):
    """A JSON object whose fields stand in the alphabetical order of their wire names, as fastjson writes them."""


class DataVersion(Bean, frozen=True):
    """Version of a table; equal when all three are equal. Brokers of 4.9 have no state version.

    Attributes:
        counter: grows with every change.
        state_version: epoch or term of the writer; ours is the Raft term.
        timestamp: milliseconds of the last change.
    """

    counter: int = 0
    state_version: int = 0
    timestamp: int = 0

    def encode(self) -> bytes:
        """Write the body of request 322."""
        return msgspec.json.encode(self)


def decode_data_version(raw: bytes) -> DataVersion:
    """Read a DataVersion.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, DataVersion, "DataVersion")


class TopicConfig(Bean, frozen=True):
    """One topic, as brokers register it."""

    attributes: dict[str, str] = {}
    order: bool = False
    perm: int = PERM_READ_WRITE
    read_queue_nums: int = 16
    topic_filter_type: str = "SINGLE_TAG"
    topic_name: str = ""
    topic_sys_flag: int = 0
    write_queue_nums: int = 16


class QueueShape(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What a route says of a topic's queues on a group: all that a NameServer keeps of a `TopicConfig`."""

    perm: int = PERM_READ_WRITE
    read_queue_nums: int = 16
    topic_sys_flag: int = 0
    write_queue_nums: int = 16


def queue_shape(config: TopicConfig) -> QueueShape:
    """Give the part of a topic's configuration that routes say."""
    return QueueShape(config.perm, config.read_queue_nums, config.topic_sys_flag, config.write_queue_nums)


class TopicTable(Bean, frozen=True):
    """TopicConfigSerializeWrapper, and what 5.x adds for static topics (which we do not have).

    Absent static-topic members are None and are not written, as 4.9 does not know them.
    """

    data_version: DataVersion = DataVersion()
    mapping_data_version: DataVersion | None = None
    topic_config_table: dict[str, TopicConfig] = {}
    topic_queue_mapping_detail_map: dict[str, Any] | None = None
    topic_queue_mapping_info_map: dict[str, Any] | None = None

    def encode(self) -> bytes:
        """Write the table; the answer to request 21."""
        return msgspec.json.encode(topic_table_members(self))


def topic_table_members(table: TopicTable) -> dict[str, Any]:
    """Give the members that are there, in wire order."""
    members = {
        "dataVersion": table.data_version,
        "mappingDataVersion": table.mapping_data_version,
        "topicConfigTable": table.topic_config_table,
        "topicQueueMappingDetailMap": table.topic_queue_mapping_detail_map,
        "topicQueueMappingInfoMap": table.topic_queue_mapping_info_map,
    }
    return {name: member for name, member in members.items() if member is not None}


def topic_table(topics: dict[str, TopicConfig], version: DataVersion) -> TopicTable:
    """Make the table that a 5.x broker registers."""
    return TopicTable(
        data_version=version,
        mapping_data_version=DataVersion(timestamp=version.timestamp),
        topic_config_table=topics,
        topic_queue_mapping_detail_map={},
        topic_queue_mapping_info_map={},
    )


def decode_topic_table(raw: bytes) -> TopicTable:
    """Read a topic table of 4.9 or 5.x.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, TopicTable, "TopicConfigSerializeWrapper")


class _TopicConfigListBody(msgspec.Struct, rename="camel"):
    topic_config_list: list[TopicConfig]


def decode_topic_configs(raw: bytes) -> list[TopicConfig]:
    """Read the body of request 18.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, _TopicConfigListBody, "CreateTopicListRequestBody").topic_config_list


def decode_topic_text(text: str) -> TopicConfig:
    """Read the compact form `name readQueues writeQueues perm filterType attributes`; 4.9 has no attributes.

    Raises:
        ValueError: fewer than five words, or queue counts that are no integers.
    """
    words = text.split(" ", 5)
    if len(words) < 5:
        raise ValueError(f"a topic of {len(words)} words")
    name, read, write, perm, filter_type = words[:5]
    attributes = decode_as(words[5].encode(), dict[str, str], "topic attributes") if len(words) > 5 and words[5] else {}
    return TopicConfig(
        attributes=attributes,
        perm=int(perm),
        read_queue_nums=int(read),
        topic_filter_type=filter_type,
        topic_name=name,
        write_queue_nums=int(write),
    )
