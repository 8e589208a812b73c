"""Checks of what callers hand in: everything wrong is refused here, before any I/O."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from ternmq import _core, local
from ternmq.errors import ConfigError, UnsupportedError
from ternmq.protocol.names import MAX_GROUP_LENGTH, MAX_TOPIC_LENGTH

_log = logging.getLogger(__name__)

Start = Literal["latest", "earliest"] | datetime
"""Where a group without a stored offset begins."""
Mode = Literal["push", "pull"]
"""How messages come: one by one and settled one by one, or in batches with explicit commits."""

OnDecodeError = Literal["retry", "dead_letter"]
"""What becomes of a message whose value does not decode."""

_NAME = re.compile(r"[%|a-zA-Z0-9_-]+")
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:\[\]]+):(?P<port>\d{1,5})")
_CONTROL = re.compile(r"[\x01\x02]")
_KEY = re.compile(r"[^\s\x00-\x1f]+")

# Those that the engine knows, and those that only other ends use.
RESERVED = frozenset(_core.PROPERTY_NAMES) | {
    "BUYER_ID", "TRANSFER_FLAG", "CORRECTION_FLAG", "MQ2_FLAG", "DUP_INFO", "ARRIVE_TIME", "POP_CK_OFFSET",
    "PROPERTY_FORWARD_QUEUE_ID", "REDIRECT", "EXTEND_UNIQ_INFO", "TRACE_CONTEXT", "__BORNHOST", "BORN_TIMESTAMP",
}  # fmt: skip
"""Property names that RocketMQ keeps for itself."""
RESERVED_PREFIXES = ("__RMQ.", "TERNMQ_")
"""Beginnings of property names that RocketMQ, and ternmq, keep for themselves."""


def endpoints(text: object) -> tuple[str, ...]:
    """Read NameServer addresses, ``host:port`` separated by ``;`` or ``,``.

    Args:
        text: None takes ``TERNMQ_ENDPOINTS``, then ``NAMESRV_ADDR`` from the environment, then the local cluster.

    Raises:
        ConfigError: none given, or one that is not ``host:port``.
        UnsupportedError: the address of a gRPC proxy.
    """
    if text is None:
        text = os.environ.get("TERNMQ_ENDPOINTS") or os.environ.get("NAMESRV_ADDR")
        if text is None:
            return _local_cluster()
    if not isinstance(text, str):
        raise ConfigError(f'endpoints is a {type(text).__name__}, but must be one string: "n1:9876;n2:9876"')
    found = tuple(dict.fromkeys(part.strip() for part in re.split("[;,]", text) if part.strip()))
    if not found:
        raise ConfigError("no NameServer given: endpoints is empty")
    for address in found:
        scheme, separator, rest = address.partition("://")
        if separator:
            raise _with_scheme(scheme.lower(), rest, address)
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise ConfigError(f'NameServer address {address!r} is not host:port, for example "n1:9876"')
    return found


def _local_cluster() -> tuple[str, ...]:
    """Name the NameServers of the cluster that runs in the nearest ``.ternmq`` here or above.

    Raises:
        ConfigError: there is none.
    """
    folder = local.find_folder()
    found = () if folder is None else local.nameservers(folder)
    if not found:
        raise ConfigError(
            'no NameServer given: pass endpoints="host:9876", set TERNMQ_ENDPOINTS, or start a local cluster with'
            " `ternmq up`"
        )
    _log.info("no NameServer given: taking those of the local cluster in %s", folder)
    return found


def _with_scheme(scheme: str, rest: str, address: str) -> ConfigError | UnsupportedError:
    if scheme in ("grpc", "grpcs"):
        return UnsupportedError(
            f"{address} is a gRPC proxy, and this client speaks to NameServers and brokers; give NameServers, for"
            ' example "n1:9876"'
        )
    return ConfigError(f"NameServer address {address!r} has no scheme: write {rest.rstrip('/')!r}")


def seconds(value: object, name: str) -> float:
    """Read a duration in seconds, greater than 0.

    Raises:
        ConfigError: not a number or timedelta, or not above 0.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ConfigError(f"{name} is {value!r}, but must be a duration above 0, in seconds or as a timedelta")
    return float(value)


def count(value: object, name: str, at_least: int = 1, at_most: int = 1 << 40) -> int:
    """Check a whole number against its bounds.

    Raises:
        ConfigError: not an int, or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number from {at_least} to {at_most}")
    return value


def topic_name(name: object) -> str:
    """Check a topic's name: at most 127 letters, digits and ``% | - _``.

    Raises:
        ConfigError: it is not such a name.
    """
    return _name(name, "topic", MAX_TOPIC_LENGTH)


def group_name(name: object) -> str:
    """Check a group's name: at most 120 letters, digits and ``% | - _``.

    Raises:
        ConfigError: it is not such a name.
    """
    return _name(name, "group", MAX_GROUP_LENGTH)


def start_position(start: Start) -> Start:
    """Check where a new group begins.

    Raises:
        ConfigError: another word, or a datetime without time zone.
    """
    if isinstance(start, datetime):
        if start.tzinfo is None:
            raise ConfigError("start is a datetime without time zone; use for example datetime.now(UTC)")
        return start
    if start not in ("latest", "earliest"):
        raise ConfigError(f"start is {start!r}, but must be 'latest', 'earliest' or a datetime with time zone")
    return start


def joined_keys(keys: object) -> str:
    """Join index keys as the KEYS property has them.

    Raises:
        ConfigError: a single string instead of a list, or a key that is empty or contains blanks.
    """
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise ConfigError(f"keys is {keys!r}; pass a list of strings")
    names = []
    for key in keys:
        if not isinstance(key, str) or _KEY.fullmatch(key) is None:
            raise ConfigError(f"key {key!r} must be a string without blanks, and not empty")
        names.append(_writable(key, "key"))
    return " ".join(names)


def user_properties(properties: object) -> str:
    """Write properties as the wire has them: name, 01, value, 02.

    Raises:
        ConfigError: not a mapping of strings, a reserved name, an empty name or value, or a character that cannot go.
    """
    if not isinstance(properties, Mapping):
        raise ConfigError(f"properties is {properties!r}; pass a mapping of names to values, both strings")
    parts = []
    for name, value in properties.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigError(f"property {name!r} has the value {value!r}: both must be strings")
        if not name or not value:
            raise ConfigError(f"property {name!r} has the value {value!r}: brokers drop what is empty, leave it out")
        if name in RESERVED or name.startswith(RESERVED_PREFIXES):
            raise ConfigError(f"property {name!r} is reserved by the protocol; choose another name")
        if _CONTROL.search(name) or _CONTROL.search(value):
            raise ConfigError(f"property {name!r}: the control characters 01 and 02 cannot be sent")
        parts.append(f"{_writable(name, 'property')}\x01{_writable(value, f'property {name!r}')}\x02")
    return "".join(parts)


def shard_key(shard: object) -> str:
    """Check a shard key.

    Raises:
        ConfigError: not a string, empty, or with the bytes 01 or 02 inside.
    """
    if not isinstance(shard, str) or not shard or _CONTROL.search(shard):
        raise ConfigError(f"shard is {shard!r}, but must be a string, not empty, without the characters 01 and 02")
    return _writable(shard, "shard")


def _writable(text: str, what: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"{what} has {text[error.start]!r}, half a character, which UTF-8 cannot write"
            ) from error
    return text


def _name(name: object, what: str, limit: int) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ConfigError(f"{what} name {name!r} must consist of letters, digits, '-', '_', '%' and '|'")
    if len(name) > limit:
        raise ConfigError(f"{what} name {name[:20]!r}... has {len(name)} characters, but {limit} are allowed")
    return name
