"""Small bodies: key-value tables, topic lists, client lists."""

from collections.abc import Iterable, Mapping

import msgspec

from ternmq.protocol.fastjson import decode_as, encode


class _Table(msgspec.Struct):
    table: dict[str, str] = {}


class _TopicList(msgspec.Struct, rename="camel"):
    topic_list: list[str] = []
    broker_addr: str | None = None


class _ConsumerList(msgspec.Struct, rename="camel"):
    consumer_id_list: list[str] = []


def encode_kv_table(table: Mapping[str, str]) -> bytes:
    """Write a KVTable: answers to 28 and 219, body of the answer to 103."""
    return encode({"table": dict(table)})


def decode_kv_table(raw: bytes) -> dict[str, str]:
    """Read a KVTable.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, _Table, "KVTable").table


def encode_topic_list(topics: Iterable[str], broker_addr: str | None = None) -> bytes:
    """Write a TopicList; only 304 names a broker's address."""
    return encode({"brokerAddr": broker_addr, "topicList": list(topics)})


def decode_topic_list(raw: bytes) -> list[str]:
    """Read a TopicList.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, _TopicList, "TopicList").topic_list


def encode_group_list(groups: Iterable[str]) -> bytes:
    """Write a GroupList, the answer to 300."""
    return encode({"groupList": list(groups)})


def encode_consumer_list(client_ids: Iterable[str]) -> bytes:
    """Write the answer to 38."""
    return encode({"consumerIdList": list(client_ids)})


def decode_consumer_list(raw: bytes) -> list[str]:
    """Read the answer to 38.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, _ConsumerList, "GetConsumerListByGroup").consumer_id_list
