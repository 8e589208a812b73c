from typing import Any

import pytest

from ternmq.client.filters import check_tag, parse_filter
from ternmq.errors import ConfigError


@pytest.mark.parametrize("expression", ["*", "", "  * "])
def test_a_star_lets_everything_through(expression: str) -> None:
    tags = parse_filter(expression)
    assert tags.matches({})
    assert tags.matches({"TAGS": "any"})
    assert tuple(tags) == ("*", frozenset(), ())


def test_tags_are_trimmed_and_counted_once() -> None:
    tags = parse_filter("TagA||  TagB ||TagA")
    assert tags == ("TagA || TagB", frozenset({"TagA", "TagB"}), (2598919, 2598920))


def test_a_stranger_with_the_same_hash_does_not_pass() -> None:
    tags = parse_filter("Aa")  # "Aa" and "BB" have the same hash in Java
    assert parse_filter("BB").codes == tags.codes
    assert tags.matches({"TAGS": "Aa"})
    assert not tags.matches({"TAGS": "BB"})
    assert not tags.matches({})


@pytest.mark.parametrize("expression", [5, None, b"a", ["a"]])
def test_what_is_no_text_is_neither_filter_nor_tag(expression: Any) -> None:
    with pytest.raises(ConfigError, match="filter is"):
        parse_filter(expression)
    with pytest.raises(ConfigError, match="must be a string"):
        check_tag(expression, f"tag {expression!r}")


@pytest.mark.parametrize("expression", ["a |", "a || ", "|| a", "a | b", "a || *", "a\x01"])
def test_half_an_expression_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError):
        parse_filter(expression)
