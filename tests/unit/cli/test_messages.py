"""Lines that become messages, and messages that become lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ternmq.cli.failures import USAGE, CommandError
from ternmq.cli.messages import Outgoing, read_line, write_jsonl
from ternmq.client import MessageQueue, Origin

NOTHING = Outgoing(b"")


def _received(body: bytes) -> Any:
    moment = datetime(2026, 11, 1, 12, 0, 0, 500_000, UTC)
    return SimpleNamespace(
        queue=SimpleNamespace(topic="orders", broker="group-a", id=3),
        origin=None,
        queue_offset=17,
        id="7F0000010A",
        attempt=1,
        keys=["A1"],
        tag="paid",
        shard=None,
        properties={"region": "eu"},
        born_at=moment,
        stored_at=moment,
        body=body,
    )


def test_text_takes_the_line_without_its_end_as_body() -> None:
    assert read_line(b"hello \n", 1, "text", NOTHING).body == b"hello "
    assert read_line(b"hello\r\n", 1, "text", NOTHING).body == b"hello"
    assert read_line(b'{"body": 1}', 1, "text", NOTHING).body == b'{"body": 1}'


def test_options_of_the_command_hold_for_every_text_line() -> None:
    defaults = Outgoing(b"", tag="paid", shard="s", keys=["k"])
    assert read_line(b"x", 1, "text", defaults) == Outgoing(b"x", "paid", "s", ["k"])


def test_members_of_a_line_come_before_options() -> None:
    defaults = Outgoing(b"", tag="paid", shard="s", keys=["k"])
    line = b'{"body": "x", "tag": "late", "keys": ["a", "b"], "properties": {"n": 1}}'
    assert read_line(line, 1, "jsonl", defaults) == Outgoing(b"x", "late", "s", ["a", "b"], {"n": "1"})
    assert read_line(b'{"body": "x", "key": "a"}', 1, "jsonl", defaults).keys == ["a"]


def test_a_body_may_be_bytes_or_json() -> None:
    assert read_line(b'{"body_base64": "/w=="}', 1, "jsonl", NOTHING).body == b"\xff"
    assert read_line(b'{"body": {"a": 1}}', 1, "jsonl", NOTHING).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "line 7 is not JSON"),
        (b"[1]", "is not an object"),
        (b"{}", "needs body or body_base64"),
        (b'{"body": "x", "body_base64": ""}', "not both"),
        (b'{"body": "x", "colour": "red"}', "unknown member colour"),
        (b'{"body_base64": "%"}', "not base64"),
        (b'{"body": "x", "tag": 1}', "tag that is not a string"),
        (b'{"body": "x", "keys": "a"}', "keys that are not a list"),
        (b'{"body": "x", "properties": [1]}', "properties that are not an object"),
    ],
)
def test_what_is_no_message_is_refused_with_its_line(line: bytes, said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        read_line(line, 7, "jsonl", NOTHING)
    assert caught.value.code == USAGE


def test_a_received_message_is_one_json_line() -> None:
    assert json.loads(write_jsonl(_received("grün".encode()), "orders")) == {
        "topic": "orders",
        "queue": "group-a:3",
        "queue_offset": 17,
        "id": "7F0000010A",
        "attempt": 1,
        "keys": ["A1"],
        "tag": "paid",
        "shard": None,
        "properties": {"region": "eu"},
        "born_at": "2026-11-01T12:00:00.500+00:00",
        "stored_at": "2026-11-01T12:00:00.500+00:00",
        "body": "grün",
    }


@pytest.mark.parametrize("body", ["grün\n".encode(), b"\xff\x00"])
def test_what_consume_writes_produce_can_send_again(body: bytes) -> None:
    line = write_jsonl(_received(body), "orders").encode()
    assert read_line(line, 1, "jsonl", NOTHING) == Outgoing(body, "paid", None, ["A1"], {"region": "eu"})


def test_a_message_that_comes_again_is_a_line_of_the_topic_that_was_asked_for_and_names_its_origin() -> None:
    message = _received(b"x")
    message.queue.topic = "%RETRY%billing"
    message.origin = Origin("orders", MessageQueue("orders", "group-b", 2), 7, "7F0000010A", 3, "bad data")
    line = write_jsonl(message, "orders")
    assert json.loads(line)["topic"] == "orders"
    assert json.loads(line)["origin"] == {
        "topic": "orders",
        "queue": "group-b:2",
        "queue_offset": 7,
        "id": "7F0000010A",
        "attempts": 3,
        "reason": "bad data",
    }
    assert read_line(line.encode(), 1, "jsonl", NOTHING).body == b"x"
    message.origin = message.origin._replace(queue=None, queue_offset=None, reason=None)
    assert json.loads(write_jsonl(message, "orders"))["origin"]["queue"] is None
