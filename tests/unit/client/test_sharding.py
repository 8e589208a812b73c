"""Golden values: Java hashes from docs/wire.md's table; jump hash values from Guava's own compatibility test."""

import pytest

from ternmq import _core
from ternmq.client.sharding import java_string_hash, jump_hash, shard_index

JAVA_HASHES = {
    "": 0,
    "TagA": 2598919,
    "TagB": 2598920,
    "中文": 646394,
    "TagWithAVeryLongName": -1243878914,
    "😀": 1772899,
}
GUAVA_100_BUCKETS = (0, 55, 62, 8, 45, 59, 86, 97, 82, 59, 73, 37, 17, 56, 86, 21, 90, 37, 38, 83)
GUAVA_11_BUCKETS = {10863919174838991: 6, 2016238256797177309: 3, 1673758223894951030: 5}


@pytest.mark.parametrize(("text", "value"), JAVA_HASHES.items())
def test_strings_hash_as_in_java(text: str, value: int) -> None:
    assert java_string_hash(text) == value == _core.java_hash(text)


def test_jump_hash_agrees_with_guava() -> None:
    assert tuple(jump_hash(key, 100) for key in range(20)) == GUAVA_100_BUCKETS
    assert {key: jump_hash(key, 11) for key in GUAVA_11_BUCKETS} == GUAVA_11_BUCKETS


def test_a_negative_hash_is_extended_with_its_sign() -> None:
    assert jump_hash(-1, 8) == jump_hash((1 << 64) - 1, 8)
    assert shard_index("TagWithAVeryLongName", 8) == jump_hash(-1243878914, 8)


def test_no_buckets_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        jump_hash(1, 0)
