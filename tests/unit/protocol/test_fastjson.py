"""JSON as RocketMQ's programs write it."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ternmq.errors import BodyError
from ternmq.protocol.fastjson import MAX_DEPTH, decode, decode_as, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
# References are refused, which has a test of its own.
KEYS = st.text().filter(lambda key: key != "$ref")
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def without_null_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null_members(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_null_members(item) for item in value]
    return value


@given(VALUES, st.booleans())
def test_what_is_written_reads_back_equal_but_for_null_members(value: Any, standard: bool) -> None:
    expected = without_null_members(value)
    assert decode(encode(value, standard=standard)) == expected


@given(VALUES)
def test_plain_json_reads_as_any_json_parser_reads_it(value: Any) -> None:
    raw = msgspec.json.encode(value)
    assert decode(raw) == msgspec.json.decode(raw)


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,\"'\\u0 a-1.e$", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_but_never_break_the_reader(raw: bytes) -> None:
    with contextlib.suppress(BodyError):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ('{0:"a:1",1:"b:2"}', {"0": "a:1", "1": "b:2"}),
        ('{"0":"a:1"}', {"0": "a:1"}),
        ("{name:'it''s'}".replace("''", "\\'"), {"name": "it's"}),
        ("{-1:true , x_1 : [1, 2.5,null] }\n", {"-1": True, "x_1": [1, 2.5, None]}),
        (
            '{{"topic":"T","brokerName":"b","queueId":0}:5}',
            {'{"brokerName":"b","queueId":0,"topic":"T"}': 5},
        ),
        ("[9007199254740993]", [9007199254740993]),
        ('["\\u00e9\\ud83d\\ude00\\/"]', ["é😀/"]),
        ("[1,]", [1]),
    ],
)
def test_the_habits_of_fastjson_are_read(raw: str, value: Any) -> None:
    assert decode(raw.encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a" 1}',
        "[1 2]",
        "[1]x",
        '"abc',
        '"\\u12"',
        '"\\ud83dx"',
        "nul",
        "NaN",
        "+1",
        '{"a":{"$ref":"$.b"}}',
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "{" * 10_000,
    ],
)
def test_what_is_broken_or_too_deep_is_refused(raw: str) -> None:
    with pytest.raises(BodyError):
        decode(raw.encode())


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(BodyError):
        decode(b"\xff\xfe")


def test_integer_keys_are_quoted_and_other_letters_escaped_only_in_the_standard_form() -> None:
    body = {"brokerAddrs": {0: "é:1"}, "zoneName": None}
    assert encode(body) == '{"brokerAddrs":{0:"é:1"}}'.encode()
    assert encode(body, standard=True) == b'{"brokerAddrs":{"0":"\\u00e9:1"}}'


def test_numbers_written_as_text_are_read_where_a_number_belongs() -> None:
    assert decode_as(b'{0:"7"}', dict[int, int], "table") == {0: 7}
    assert decode_as(b'{"0":"7"}', dict[int, int], "table") == {0: 7}


def test_the_error_names_the_body() -> None:
    with pytest.raises(BodyError, match="TopicList cannot be read"):
        decode_as(b"[", list[str], "TopicList")


@given(st.lists(st.text()), st.booleans())
def test_a_list_of_texts_is_written_as_its_texts_are(texts: list[str], standard: bool) -> None:
    apart = b",".join(encode(text, standard=standard) for text in texts)
    assert encode(texts, standard=standard) == b"[%b]" % apart
