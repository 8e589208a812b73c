"""Subscription groups: create and change (200, 225), delete (207), show (201, 352)."""

from collections.abc import Callable
from typing import Any

import msgspec

from ternmq.broker.changes import Change, Changes
from ternmq.broker.engine import Engine
from ternmq.broker.handlers.admin.paging import page
from ternmq.errors import HeaderError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import bool_field, text_field
from ternmq.protocol.groups import (
    CUSTOMIZED,
    EXPONENTIAL,
    ExponentialRetry,
    GroupConfig,
    GroupTable,
    RetryPolicy,
    decode_group_config,
    decode_group_configs,
)
from ternmq.protocol.names import group_problem
from ternmq.protocol.topics import DataVersion
from ternmq.remoting import Reply, Request

# Each is a proposal of its own.
MAX_GROUPS_AT_ONCE = 1_000
MAX_RETRY_QUEUES = 16_384
MAX_PAUSES = 1_000
_MAX_INT = (1 << 31) - 1
_MAX_LONG = (1 << 63) - 1


class GroupHandlers:
    """Requests about subscription groups.

    Args:
        engine: what knows and changes them.
        changes: the way to change them.
        term: gives the term that versions of the table carry.
    """

    def __init__(self, engine: Callable[[], Engine], changes: Changes, term: Callable[[], int]) -> None:
        self._engine = engine
        self._changes = changes
        self._term = term

    async def create(self, request: Request) -> Reply:
        """200: create a group or change it; answered when the change is committed and applied here.

        Source: RocketMQ 5.x, AdminBrokerProcessor#updateAndCreateSubscriptionGroup.
        """
        config = checked_group(decode_group_config(request.body))
        return await self._changes.make([_put_group(config)])

    async def create_many(self, request: Request) -> Reply:
        """225: create or change groups; all are checked before the first is proposed."""
        configs = decode_group_configs(request.body)
        if len(configs) > MAX_GROUPS_AT_ONCE:
            raise HeaderError(f"{len(configs)} groups in one request, the limit is {MAX_GROUPS_AT_ONCE}")
        return await self._changes.make([_put_group(checked_group(config)) for config in configs])

    async def delete(self, request: Request) -> Reply:
        """207: delete a group, and its offsets if asked; one that is not there is deleted already."""
        group = text_field(request.fields, "groupName")
        clean = bool_field(request.fields, "cleanOffset")
        return await self._changes.make([lambda engine, number: engine.delete_group(number, group, clean)])

    def all(self, request: Request) -> Reply:
        """201: all groups, or a page of them."""
        engine = self._engine()
        counter, changed_ms = engine.group_version()
        version = DataVersion(counter, self._term(), changed_ms)
        rows = {config.group_name: config for config in map(_shown, engine.group_configs())}
        shown = page(rows, version, request.fields, "groupSeq", "maxGroupNum")
        return Reply(fields={"totalGroupNum": str(len(rows))}, body=GroupTable(version, {}, shown).encode())

    def one(self, request: Request) -> Reply:
        """352: the configuration of one group."""
        group = text_field(request.fields, "group")
        for config in map(_shown, self._engine().group_configs()):
            if config.group_name == group:
                return Reply(body=config.encode())
        return Reply(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, f"No group in this broker. group: {group}")


def checked_group(config: GroupConfig) -> GroupConfig:
    """Give a configuration back if it keeps the rules.

    Raises:
        HeaderError: its name is none, a number is out of bounds, or it has attributes, of which we know none.
    """
    problem = group_problem(config.group_name)
    if problem is not None:
        raise HeaderError(problem)
    numbers = {
        "brokerId": (config.broker_id, 0, _MAX_LONG),
        "consumeTimeoutMinute": (config.consume_timeout_minute, 0, _MAX_INT),
        "groupSysFlag": (config.group_sys_flag, 0, _MAX_INT),
        # -1 is Java's form of "the client's own limit".
        "retryMaxTimes": (config.retry_max_times, -1, _MAX_INT),
        "retryQueueNums": (config.retry_queue_nums, 0, MAX_RETRY_QUEUES),
        "whichBrokerWhenConsumeSlowly": (config.which_broker_when_consume_slowly, 0, _MAX_LONG),
    }
    for field, (value, least, most) in numbers.items():
        if not least <= value <= most:
            raise HeaderError(f"{field} of {config.group_name} is {value}, outside {least} to {most}")
    for key in config.attributes:
        raise HeaderError(f"unsupported key: {key}")
    _check_policy(config)
    return config


def _check_policy(config: GroupConfig) -> None:
    policy = config.group_retry_policy
    if policy.type not in (CUSTOMIZED, EXPONENTIAL):
        raise HeaderError(f"groupRetryPolicy of {config.group_name} is neither {CUSTOMIZED} nor {EXPONENTIAL}")
    pauses = list(policy.customized_retry_policy.next) if policy.customized_retry_policy is not None else []
    if policy.exponential_retry_policy is not None:
        exponential = policy.exponential_retry_policy
        pauses += [exponential.initial, exponential.max, exponential.multiplier]
    if len(pauses) > MAX_PAUSES or not all(0 <= pause <= _MAX_LONG for pause in pauses):
        raise HeaderError(f"groupRetryPolicy of {config.group_name} has a pause that is negative, or too many of them")


def _put_group(config: GroupConfig) -> Change:
    row = msgspec.to_builtins(msgspec.structs.replace(config, group_retry_policy=_chosen(config.group_retry_policy)))
    return lambda engine, number: engine.put_group(number, row)


def _chosen(policy: RetryPolicy) -> RetryPolicy:
    """Leave of a policy what its type chooses; the engine has no defaults."""
    if policy.type == EXPONENTIAL:
        exponential = policy.exponential_retry_policy or ExponentialRetry()
        return RetryPolicy(exponential_retry_policy=exponential, type=EXPONENTIAL)
    customized = policy.customized_retry_policy
    return RetryPolicy(customized_retry_policy=customized if customized is not None and customized.next else None)


def _shown(row: dict[str, Any]) -> GroupConfig:
    """Give a group of the engine in the form that tools read."""
    return msgspec.convert(row, GroupConfig)
