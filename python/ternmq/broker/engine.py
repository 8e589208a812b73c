"""The engine as the control plane sees it, and how it is started from a configuration."""

import logging
from typing import Any, Protocol

import msgspec

from ternmq import _core
from ternmq.broker.memory import usable_memory_bytes
from ternmq.config import BrokerConfig
from ternmq.config.addresses import resolve_ip
from ternmq.config.settings import BROKER
from ternmq.errors import ConfigError
from ternmq.protocol.topics import PERM_READ_WRITE, TopicConfig
from ternmq.remoting import Endpoint

_log = logging.getLogger(__name__)

ROLE_EVENT = _core.EVENT_KINDS["ROLE"]
TOPICS_EVENT = _core.EVENT_KINDS["TOPICS"]
PROPOSED_EVENT = _core.EVENT_KINDS["PROPOSED"]
STOPPED_EVENT = _core.EVENT_KINDS["STOPPED"]

# A single master has no member id of the Raft form in its file; the engine wants one.
_SINGLE_MEMBER = "n0"

TopicRow = tuple[str, int, int, int, int, bool, str, dict[str, str]]
"""name, read queues, write queues, perm, system flags, order, filter type, attributes"""

ClientRow = tuple[str, str, str, int]
"""address, client id, language, version"""

Progress = tuple[str, int, bool]
"""member id, index up to which it holds the log durably, whether it answered lately"""

FollowerRow = tuple[str, str | None, int, int, int]
"""member id, address, last frame that it has persisted, bytes of the log that it lacks, ms since it lacks them"""

SubscriptionRow = tuple[str, str, str, int]
"""topic, expression, kind of expression, version"""

ConsumersRow = tuple[str, str, str, list[ClientRow], list[SubscriptionRow]]
"""message model, consume type, where a new group begins, members, subscriptions"""


class Engine(Protocol):
    """What the control plane needs of `_core.Broker`."""

    def stop(self, timeout_ms: int) -> None:
        """Stop cleanly; wait at most so long for what is appended to be decided."""

    def status(self) -> dict[str, Any]:
        """Role, term, leader, indexes."""

    def topics(self) -> list[TopicRow]:
        """All topics that are committed and applied here."""

    def topic(self, name: str) -> TopicRow | None:
        """One topic that is committed and applied here."""

    def topic_version(self) -> tuple[int, int]:
        """Counter and time, in milliseconds, of the last change of a topic."""

    def put_topic(
        self,
        proposal_id: int,
        name: str,
        read: int,
        write: int,
        perm: int,
        sys_flag: int,
        order: bool,
        filter_type: str,
        attributes: dict[str, str],
    ) -> None:
        """Propose a topic; the outcome is an event."""

    def use_topic(self, proposal_id: int, name: str, queues: int) -> None:
        """Propose a topic as a send to it would, if there is none of that name; the outcome is an event."""

    def delete_topic(self, proposal_id: int, name: str) -> None:
        """Propose to delete a topic; the outcome is an event."""

    def permission(self) -> tuple[int, bool]:
        """Bits of permission that topics are shown with at most, and whether sends of clients are rejected."""

    def put_permission(self, proposal_id: int, read_only: bool | None, rejects_sends: bool | None) -> None:
        """Propose what clients may do at the group; None leaves a half as it is. The outcome is an event."""

    def group_configs(self) -> list[dict[str, Any]]:
        """Subscription groups, each in the form of RocketMQ's SubscriptionGroupConfig, ordered by name."""

    def group_version(self) -> tuple[int, int]:
        """Counter and time, in milliseconds, of the last change of a group."""

    def put_group(self, proposal_id: int, config: dict[str, Any]) -> None:
        """Propose a group; the outcome is an event."""

    def delete_group(self, proposal_id: int, name: str, clean_offsets: bool) -> None:
        """Propose to delete a group, perhaps with its offsets; the outcome is an event."""

    def groups(self) -> list[str]:
        """Names of all subscription groups."""

    def queue_range(self, topic: str, queue_id: int) -> tuple[int, int]:
        """Oldest offset of a queue and offset of its next message; 0 and 0 where there is none."""

    def store_times(self, topic: str, places: list[tuple[int, int]]) -> list[int]:
        """Store times of messages named by queue id and offset, 0 where there is none. Reads the log."""

    def offsets(self, group: str) -> list[tuple[str, int, int]]:
        """Topic, queue id and offset of all that a group has committed."""

    def subscribers(self, topic: str) -> list[str]:
        """Groups that are connected with a subscription to a topic, in no order."""

    def consumers(self, group: str) -> ConsumersRow | None:
        """A consumer group as it is connected; None if nobody is."""

    def producers(self, group: str) -> list[ClientRow]:
        """Connected members of a producer group."""

    def progress(self) -> list[Progress]:
        """How far the other members are, if this replica leads. Waits for a turn of the log thread."""

    def followers(self) -> list[FollowerRow]:
        """How far behind the other members are, as this leader knows; nobody else knows. Reads the log."""

    def send_away(self) -> None:
        """Refuse pulls, those that wait as well, with 14 and where the leader is."""

    def transfer_leader(self, member: str) -> None:
        """Hand leadership to a member."""

    def promote(self, force: bool) -> tuple[int, int]:
        """Make this slave the master; gives its last frame and when that was stored, ms since 1970.

        Raises:
            ValueError: it is no slave, its master lives, or messages may be lost and that was not forced.
        """

    def first_stored(self, index: int, max_bytes: int) -> tuple[int | None, int | None]:
        """Store time of the first message in the frames from an index on, and the index to go on at. Reads the log."""

    def delay_level(self, level: int) -> tuple[int, int] | None:
        """Messages put and messages stored of a delay level, counted from 1; None if there is no such level."""

    def counters(self) -> dict[str, int]:
        """Totals since start."""


def topic_config(row: TopicRow) -> TopicConfig:
    """Give a topic in the form that brokers register and tools read."""
    name, read, write, perm, sys_flag, order, filter_type, attributes = row
    return TopicConfig(
        attributes=attributes,
        order=order,
        perm=perm,
        read_queue_nums=read,
        topic_filter_type=filter_type,
        topic_name=name,
        topic_sys_flag=sys_flag,
        write_queue_nums=write,
    )


def shown_topic(row: TopicRow, permission: int) -> TopicConfig:
    """Give a topic as NameServers should show it: with the bits of the group's permission at most.

    Source: RocketMQ 5.x, BrokerController#registerBrokerAll.
    """
    config = topic_config(row)
    if permission == PERM_READ_WRITE:
        return config
    return msgspec.structs.replace(config, perm=config.perm & permission)


def engine_settings(config: BrokerConfig, python_codes: list[int]) -> dict[str, object]:
    """Give the engine's form of a configuration.

    Args:
        config: what this process was told.
        python_codes: request codes that the control plane answers.

    Raises:
        ConfigError: the advertised host does not resolve here; message records hold an IP.
    """
    has_numbers = config.mode != "multi-master"
    return {
        "cluster": config.cluster,
        "group": config.group,
        "member": config.member if has_numbers else _SINGLE_MEMBER,
        "mode": config.mode,
        "open": config.open,
        "members": [
            (member.id if has_numbers else _SINGLE_MEMBER, member.host, member.peer_port) for member in config.members
        ],
        "listen_host": config.listen_host,
        "port": config.port,
        "fast_port": config.fast_port,
        "peer_host": config.peer_host,
        "peer_port": config.peer_port,
        "advertise_host": config.advertise_host,
        "store_host": resolve_ip(config.advertise_host, config.advertise_key),
        "data": str(config.data),
        "secret": config.secret,
        "python_codes": python_codes,
        "memory_bytes": usable_memory_bytes(),
        **{row.name: getattr(config, row.name) for row in BROKER if row.in_engine},
    }


def start_engine(endpoint: Endpoint, config: BrokerConfig, python_codes: list[int]) -> Engine:
    """Start the replica: recovers its log, listens, joins its group. Blocks while it recovers.

    Args:
        endpoint: where its events come out.
        config: what this process was told.
        python_codes: request codes that the control plane answers.

    Raises:
        ConfigError: the engine refused to start, with its sentence.
    """
    settings = engine_settings(config, python_codes)
    transport = endpoint.transport
    assert isinstance(transport, _core.Endpoint), "a replica shares the engine's own transport"
    try:
        engine: Engine = _core.Broker(transport, settings)
    except (ValueError, RuntimeError, OSError) as error:
        raise ConfigError(f"{config.name} cannot start: {error}") from error
    return engine


def engine_routes() -> list[tuple[int, str, str, str]]:
    """Give the requests that the engine answers by itself: code, name, header type, what an answer waits for."""
    return _core.engine_routes()


def code_name(code: int) -> str | None:
    """Give RocketMQ's name of a request code; None for a number that has none."""
    return _core.code_name(code)
