"""Who is connected: the answers to 203 and 204."""

from collections.abc import Sequence

import msgspec

from ternmq import _core
from ternmq.protocol.fastjson import decode_as
from ternmq.protocol.topics import Bean

ALL_TAGS = "*"
TAG = "TAG"


class Connection(Bean, frozen=True):
    """One client.

    Attributes:
        client_addr: its end of the connection.
        client_id: the id that it gives itself.
        language: name of its library's language.
        version: version ordinal of its library.
    """

    client_addr: str = ""
    client_id: str = ""
    language: str = "OTHER"
    version: int = 0


class SubscriptionData(Bean, frozen=True):
    """What a group subscribes to of a topic: SubscriptionData."""

    class_filter_mode: bool = False
    code_set: list[int] = msgspec.field(default_factory=list)
    expression_type: str = TAG
    sub_string: str = ALL_TAGS
    sub_version: int = 0
    tags_set: list[str] = msgspec.field(default_factory=list)
    topic: str = ""


class ConsumerConnection(Bean, frozen=True):
    """A consumer group and its connected members."""

    connection_set: list[Connection] = msgspec.field(default_factory=list)
    consume_from_where: str = "CONSUME_FROM_LAST_OFFSET"
    consume_type: str = "CONSUME_PASSIVELY"
    message_model: str = "CLUSTERING"
    subscription_table: dict[str, SubscriptionData] = msgspec.field(default_factory=dict)

    def encode(self) -> bytes:
        """Write the answer to 203."""
        return msgspec.json.encode(self)


class ProducerConnection(Bean, frozen=True):
    """The connected members of a producer group."""

    connection_set: list[Connection] = msgspec.field(default_factory=list)

    def encode(self) -> bytes:
        """Write the answer to 204."""
        return msgspec.json.encode(self)


def subscription(topic: str, expression: str, kind: str, version: int) -> SubscriptionData:
    """Make a subscription with the tags and tag codes that its expression names.

    Args:
        topic: its topic.
        expression: tags separated by `||`, `*` for all, or SQL.
        kind: TAG or SQL92.
        version: number that the client gave it.
    """
    tags: Sequence[str] = ()
    if kind == TAG and expression not in ("", ALL_TAGS):
        tags = list(dict.fromkeys(tag for part in expression.split("||") if (tag := part.strip())))
    return SubscriptionData(
        code_set=[_core.java_hash(tag) for tag in tags],
        expression_type=kind,
        sub_string=expression,
        sub_version=version,
        tags_set=list(tags),
        topic=topic,
    )


def decode_consumer_connection(raw: bytes) -> ConsumerConnection:
    """Read the answer to 203.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, ConsumerConnection, "ConsumerConnection")


def decode_producer_connection(raw: bytes) -> ProducerConnection:
    """Read the answer to 204.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, ProducerConnection, "ProducerConnection")


def connections(rows: Sequence[tuple[str, str, str, int]]) -> list[Connection]:
    """Make the list of connections from address, client id, language and version of each."""
    return [Connection(*row) for row in rows]
