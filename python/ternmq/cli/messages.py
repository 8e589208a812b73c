"""Messages as lines: what ``produce`` reads and ``consume`` writes.

Text is one message a line, its body and nothing else. JSONL is one object a line. Written:

    {"topic", "queue": "group-a:3", "queue_offset", "id", "attempt", "keys": […], "tag", "shard", "properties": {…},
     "born_at", "stored_at", "body" | "body_base64"}

``body_base64`` stands in place of ``body`` where the bytes are not UTF-8. A message that comes again, and a dead
letter, also have where it stood first, how often it had been delivered, and why it was given up; null where no broker
noted it:

    "origin": {"topic", "queue", "queue_offset", "id", "attempts", "reason"}

Read are ``body`` or ``body_base64``, ``key``, ``keys``, ``tag``, ``shard``, ``properties``; the other members that
``consume`` writes are accepted and ignored, so that its output can be sent again.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ternmq.cli.failures import USAGE, CommandError

if TYPE_CHECKING:
    from ternmq.client import Message, MessageQueue, Origin

FORMATS = ("text", "jsonl")

_READ = {"body", "body_base64", "key", "keys", "tag", "shard", "properties"}
_IGNORED = {"topic", "queue", "queue_offset", "id", "attempt", "born_at", "stored_at", "origin"}


@dataclass(frozen=True)
class Outgoing:
    """One message to send."""

    body: bytes
    tag: str | None = None
    shard: str | None = None
    keys: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


def read_line(line: bytes, number: int, form: str, defaults: Outgoing) -> Outgoing:
    """Read one message.

    Args:
        line: with or without its line end.
        number: of the line, from 1, for errors.
        form: one of `FORMATS`.
        defaults: key, tag and shard of the command line; members of the line come first.

    Raises:
        CommandError: the line is not such a message.
    """
    raw = line.removesuffix(b"\n").removesuffix(b"\r")
    if form == "text":
        return Outgoing(raw, defaults.tag, defaults.shard, defaults.keys, defaults.properties)
    try:
        members = json.loads(raw)
    except ValueError as error:
        raise _bad_line(number, f"is not JSON: {error}") from error
    if not isinstance(members, dict):
        raise _bad_line(number, "is not an object")
    unknown = members.keys() - _READ - _IGNORED
    if unknown:
        raise _bad_line(number, f"has the unknown member {min(unknown)}")
    keys = [members["key"]] if members.get("key") is not None else members.get("keys") or defaults.keys
    if not isinstance(keys, list):
        raise _bad_line(number, "has keys that are not a list")
    properties = members.get("properties") or defaults.properties
    if not isinstance(properties, dict):
        raise _bad_line(number, "has properties that are not an object")
    return Outgoing(
        _body(members, number),
        _text(members, "tag", number) or defaults.tag,
        _text(members, "shard", number) or defaults.shard,
        [str(key) for key in keys],
        {str(name): str(value) for name, value in properties.items()},
    )


def write_jsonl(message: Message[bytes], topic: str) -> str:
    """Write a received message as one JSON line.

    Args:
        message: what came.
        topic: the one that was asked for; a message that comes again stands in another.
    """
    body: dict[str, str] = {}
    try:
        body["body"] = message.body.decode()
    except UnicodeDecodeError:
        body["body_base64"] = base64.b64encode(message.body).decode()
    return json.dumps(
        {
            "topic": topic,
            "queue": _queue(message.queue),
            "queue_offset": message.queue_offset,
            "id": message.id,
            "attempt": message.attempt,
            "keys": message.keys,
            "tag": message.tag,
            "shard": message.shard,
            "properties": message.properties,
            "born_at": message.born_at.isoformat(timespec="milliseconds"),
            "stored_at": message.stored_at.isoformat(timespec="milliseconds"),
            **body,
            **_origin(message.origin),
        },
        ensure_ascii=False,
    )


def _origin(origin: Origin | None) -> dict[str, object]:
    if origin is None:
        return {}
    return {"origin": {**origin._asdict(), "queue": None if origin.queue is None else _queue(origin.queue)}}


def _queue(queue: MessageQueue) -> str:
    return f"{queue.broker}:{queue.id}"


def _body(members: dict[str, Any], number: int) -> bytes:
    if ("body" in members) == ("body_base64" in members):
        raise _bad_line(number, "needs body or body_base64, and not both")
    if "body" in members:
        body = members["body"]
        # A payload that is itself JSON may stand as it is.
        return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
    try:
        return base64.b64decode(str(members["body_base64"]), validate=True)
    except binascii.Error as error:
        raise _bad_line(number, f"has a body_base64 that is not base64: {error}") from error


def _text(members: dict[str, Any], name: str, number: int) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise _bad_line(number, f"has a {name} that is not a string")
    return value


def _bad_line(number: int, what: str) -> CommandError:
    return CommandError(
        f"line {number} {what}", 'write one object a line, such as {"body": "…", "keys": ["…"]}', code=USAGE
    )
