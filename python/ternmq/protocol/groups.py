"""Subscription groups: their configurations and the table of them."""

import msgspec

from ternmq.protocol.fastjson import decode_as
from ternmq.protocol.topics import Bean, DataVersion

CUSTOMIZED = "CUSTOMIZED"
EXPONENTIAL = "EXPONENTIAL"


class CustomizedRetry(Bean, frozen=True):
    """Fixed pauses, one a try.

    Attributes:
        next: the pauses in milliseconds.
    """

    next: list[int] = msgspec.field(default_factory=list)


class ExponentialRetry(Bean, frozen=True):
    """A pause that grows by a factor; milliseconds."""

    initial: int = 5_000
    max: int = 7_200_000
    multiplier: int = 2


class RetryPolicy(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Pauses of consumers of the gRPC protocol; the policy that is not chosen is None and is not written."""

    customized_retry_policy: CustomizedRetry | None = None
    exponential_retry_policy: ExponentialRetry | None = None
    # A default of another kind would be left out when it is written.
    type: str = msgspec.field(default_factory=lambda: CUSTOMIZED)


class GroupConfig(Bean, frozen=True):
    """SubscriptionGroupConfig. Missing members take these defaults, as in Java."""

    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    broker_id: int = 0
    consume_broadcast_enable: bool = True
    consume_enable: bool = True
    consume_from_min_enable: bool = True
    consume_message_orderly: bool = False
    consume_timeout_minute: int = 15
    group_name: str = ""
    group_retry_policy: RetryPolicy = msgspec.field(default_factory=RetryPolicy)
    group_sys_flag: int = 0
    notify_consumer_ids_changed_enable: bool = True
    retry_max_times: int = 16
    retry_queue_nums: int = 1
    which_broker_when_consume_slowly: int = 1

    def encode(self) -> bytes:
        """Write it: the body of request 200, the answer to 352."""
        return msgspec.json.encode(self)


class GroupTable(Bean, frozen=True):
    """SubscriptionGroupWrapper, the answer to 201. Nothing is ever forbidden here."""

    data_version: DataVersion = DataVersion()
    forbidden_table: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    subscription_group_table: dict[str, GroupConfig] = msgspec.field(default_factory=dict)

    def encode(self) -> bytes:
        """Write it."""
        return msgspec.json.encode(self)


class _GroupList(msgspec.Struct, rename="camel"):
    group_config_list: list[GroupConfig]


def decode_group_config(raw: bytes) -> GroupConfig:
    """Read one configuration.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, GroupConfig, "SubscriptionGroupConfig")


def decode_group_configs(raw: bytes) -> list[GroupConfig]:
    """Read the body of request 225.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, _GroupList, "SubscriptionGroupList").group_config_list


def decode_group_table(raw: bytes) -> GroupTable:
    """Read the answer to 201.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, GroupTable, "SubscriptionGroupWrapper")
