"""The comparison itself is shown to fail: one member changed at a time."""

import copy
from typing import Any

import pytest

from conformance.messages import assert_came_back

WENT_IN = {
    "topic": "t", "body": b"b", "tag": "TagA", "keys": "k1 k2", "flag": 3, "properties": {"name": "Grüße", "n": "1"},
}  # fmt: skip
SENT: dict[str, Any] = {
    "number": 0, "in": WENT_IN, "status": "SEND_OK", "id": "7F0000010001",
    "offset_id": "7F00000100002A9F0000000000001000", "broker": "group-a", "queue": 2, "queue_offset": 7,
}  # fmt: skip
PULLED: dict[str, Any] = {
    "out": {**WENT_IN, "properties": {"name": "Grüße", "n": "1", "UNIQ_KEY": "7F0000010001", "CLUSTER": "c"}},
    "id": "7F0000010001", "broker": "group-a", "queue": 2, "queue_offset": 7, "physical_offset": 4096,
    "store_host": "/127.0.0.1:10911",
}  # fmt: skip
CHANGES: dict[str, tuple[list[str], object]] = {
    "topic": (["out", "topic"], "u"),
    "body": (["out", "body"], b"c"),
    "tag": (["out", "tag"], None),
    "keys": (["out", "keys"], "k1"),
    "flag": (["out", "flag"], 4),
    "a property": (["out", "properties", "name"], "Gruesse"),
    "a property nobody set": (["out", "properties", "extra"], "1"),
    "unique id": (["id"], "7F0000010002"),
    "unique id as stored": (["out", "properties", "UNIQ_KEY"], "7F0000010002"),
    "broker": (["broker"], "group-b"),
    "queue": (["queue"], 3),
    "queue offset": (["queue_offset"], 8),
    "physical offset": (["physical_offset"], 4097),
    "store host": (["store_host"], "/127.0.0.1:10912"),
}


def test_a_message_that_came_back_as_it_went_in_passes() -> None:
    assert_came_back([SENT], [PULLED])


@pytest.mark.parametrize("change", CHANGES)
def test_a_message_that_came_back_changed_is_found(change: str) -> None:
    pulled = copy.deepcopy(PULLED)
    *path, last = CHANGES[change][0]
    place = pulled
    for name in path:
        place = place[name]
    place[last] = CHANGES[change][1]
    with pytest.raises(AssertionError):
        assert_came_back([SENT], [pulled])


def test_a_message_that_is_missing_or_there_twice_is_found() -> None:
    for pulled in ([], [PULLED, PULLED]):
        with pytest.raises(AssertionError):
            assert_came_back([SENT], pulled)
