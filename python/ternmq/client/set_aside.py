"""Reads what a former master has set aside: stored records back to back, as in the body of a pull's answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ternmq import _core
from ternmq.client.arguments import RESERVED, RESERVED_PREFIXES
from ternmq.client.fetched_message import Details
from ternmq.errors import BodyError

_MAX_BODY = 64 << 20
_KEYS, _TAGS, _SHARD = "KEYS", "TAGS", "__SHARDINGKEY"


def read_set_aside(file: Path) -> Iterator[dict[str, Any]]:
    """Give each message in the form in which `consume` writes it, and `produce` reads it.

    Args:
        file: made by a replica.

    Raises:
        BodyError: it holds something else.
    """
    try:
        records, offsets, bodies, _ = _core.decode_messages(file.read_bytes(), _MAX_BODY)
    except ValueError as error:
        raise BodyError(f"{file} holds no messages that were set aside: {error}") from error
    for number, (queue_offset, body) in enumerate(zip(offsets, bodies, strict=True)):
        topic, queue = records.place(number)
        details = Details(*records.details(number))
        own = {
            name: value
            for name, value in details.properties.items()
            if name not in RESERVED and not name.startswith(RESERVED_PREFIXES)
        }
        yield {
            "topic": topic,
            "queue": str(queue),
            "queue_offset": queue_offset,
            "keys": details.properties.get(_KEYS, "").split(),
            "tag": details.properties.get(_TAGS),
            "shard": details.properties.get(_SHARD),
            "properties": own,
            "stored_at": datetime.fromtimestamp(details.stored_ms / 1000, UTC).isoformat(timespec="milliseconds"),
            **_written(body),
        }


def _written(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}
