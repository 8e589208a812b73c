"""Key-value configuration: the only thing that a NameServer keeps on disk, at a path fixed at start.

The file is Apache's `kvConfig.json`: `{"configTable":{namespace:{key:value}}}`. It is replaced as a whole, so a crash
leaves the old one or the new one.
"""

import os
from pathlib import Path

import msgspec

from ternmq.errors import BodyError, ConfigError, MQError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fastjson import decode_as

ORDER_TOPIC_CONFIG = "ORDER_TOPIC_CONFIG"
MAX_TOTAL_BYTES = 4 << 20


class _File(msgspec.Struct, rename="camel"):
    config_table: dict[str, dict[str, str]] = {}


class KvStore:
    """Namespaces of texts.

    Args:
        path: the file; its folder is made when first needed.

    Raises:
        ConfigError: a file is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.generation = 0
        """Grows with every change."""
        self._path = path
        self._table: dict[str, dict[str, str]] = {}
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"the key-value file {path} cannot be read: {error.strerror}") from error
        try:
            self._table = decode_as(raw, _File, "kvConfig.json").config_table
        except BodyError as error:
            raise ConfigError(f"the key-value file {path} is damaged: {error}; repair or remove it") from error

    def get(self, namespace: str, key: str) -> str | None:
        """Give a value, or None."""
        return self._table.get(namespace, {}).get(key)

    def namespace(self, namespace: str) -> dict[str, str] | None:
        """Give all pairs of a namespace, or None where it does not exist."""
        pairs = self._table.get(namespace)
        return dict(pairs) if pairs is not None else None

    def put(self, namespace: str, key: str, value: str) -> None:
        """Store a value; it is on disk when this returns.

        Raises:
            MQError: the value is illegal for its namespace, the table is full, or the disk failed.
        """
        if namespace == ORDER_TOPIC_CONFIG:
            _check_order_config(value)
        table = {name: dict(pairs) for name, pairs in self._table.items()}
        table.setdefault(namespace, {})[key] = value
        self._replace(table)

    def delete(self, namespace: str, key: str) -> None:
        """Remove a value, if it is there.

        Raises:
            MQError: the disk failed.
        """
        if self.get(namespace, key) is None:
            return
        table = {name: dict(pairs) for name, pairs in self._table.items()}
        del table[namespace][key]
        self._replace(table)

    def _replace(self, table: dict[str, dict[str, str]]) -> None:
        raw = msgspec.json.encode(_File(table))
        if len(raw) > MAX_TOTAL_BYTES:
            raise MQError(
                f"the key-value table would have {len(raw)} bytes; at most {MAX_TOTAL_BYTES}",
                code=ResponseCode.SYSTEM_ERROR,
            )
        try:
            _write_whole(self._path, raw)
        except OSError as error:
            raise MQError(
                f"the key-value table cannot be written: {error.strerror}", code=ResponseCode.SYSTEM_ERROR
            ) from error
        self._table = table
        self.generation += 1


def _write_whole(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_order_config(value: str) -> None:
    """Refuse what makes Java clients fail when they read it: it must be `broker:queues;broker:queues`."""
    for part in filter(None, value.split(";")):
        name, colon, count = part.rpartition(":")
        if not colon or not name or not count.isdecimal():
            raise MQError(
                f"the order configuration must be broker:queues;broker:queues, not {value[:80]!r}",
                code=ResponseCode.INVALID_PARAMETER,
            )
