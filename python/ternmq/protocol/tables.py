"""Small bodies: key-value tables, topic lists, client lists."""

from collections.abc import Iterable, Mapping

import msgspec

from ternmq.protocol.fastjson import decode_as, encode


class _Table(msgspec.Struct):
    table: dict[str, str] = {}


class _TopicListBody(msgspec.Struct, rename="camel"):
    topic_list: list[str] = []
    broker_addr: str | None = None


class _GroupListBody(msgspec.Struct, rename="camel"):
    group_list: list[str] = []


class SubscriptionSet(msgspec.Struct, rename="camel"):
    """What some members of a group subscribe to.

    Attributes:
        shares_by_topic: they share a topic's queues with those who subscribe to it, not with the whole group.
        subscriptions: filter of each topic; filters that mean the same read the same.
    """

    shares_by_topic: bool = False
    subscriptions: dict[str, str] = {}


class ConsumerList(msgspec.Struct, rename="camel"):
    """The members of a group: the answer to 38.

    Attributes:
        consumer_id_list: client ids.
        set_of_consumer: for each id the place of its set, -1 where it is not known; None from brokers other than ours.
        subscription_sets: the different sets.
    """

    consumer_id_list: list[str] = []
    set_of_consumer: list[int] | None = None
    subscription_sets: list[SubscriptionSet] | None = None


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
    return decode_as(raw, _TopicListBody, "TopicList").topic_list


def encode_group_list(groups: Iterable[str]) -> bytes:
    """Write a GroupList, the answer to 300."""
    return encode({"groupList": list(groups)})


def decode_group_list(raw: bytes) -> list[str]:
    """Read a GroupList.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, _GroupListBody, "GroupList").group_list


def encode_consumer_list(client_ids: Iterable[str]) -> bytes:
    """Write the answer to 38."""
    return encode({"consumerIdList": list(client_ids)})


def decode_consumer_list(raw: bytes) -> ConsumerList:
    """Read the answer to 38.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, ConsumerList, "GetConsumerListByGroup")
