"""Header fields and names: what does not parse is answered with 29 and says which field."""

import pytest

from ternmq.errors import HeaderError
from ternmq.protocol.fields import bool_field, int_field, name_field, text_field
from ternmq.protocol.names import is_system_topic, topic_problem
from ternmq.protocol.routes import wants_standard_json


@pytest.mark.parametrize("value", ["", "x", "1.5", " 1", "1_000", "٣", "0x10", "1" * 30, "-1", "11"])
def test_an_integer_that_is_none_or_out_of_bounds_is_refused(value: str) -> None:
    with pytest.raises(HeaderError, match="n") as caught:
        int_field({"n": value}, "n", least=0, most=10)
    assert caught.value.code == 29


def test_an_optional_integer_has_its_default_where_it_is_missing_or_empty() -> None:
    assert int_field({}, "n", 7) == 7
    assert int_field({"n": ""}, "n", 7) == 7
    assert int_field({"n": "-5"}, "n", 7, least=-5) == -5


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"name": "  "}, {"name": "a\nb"}, {"name": "x" * 256}])
def test_a_name_that_is_missing_too_long_or_unprintable_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(HeaderError):
        name_field(fields, "name")


def test_only_true_in_any_case_is_true() -> None:
    assert [bool_field({"b": text}, "b") for text in ("true", "TRUE", "1", "yes", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert text_field({"t": " x "}, "t") == " x "


@pytest.mark.parametrize("topic", ["", " ", "../x", "a/b", "a.b", "a b", "é", "a" * 128, "a\0"])
def test_an_illegal_topic_name_is_said_to_be_one(topic: str) -> None:
    assert topic_problem(topic) is not None


@pytest.mark.parametrize("topic", ["a", "%RETRY%g-1_x|y", "a" * 127, "%RETRY%" + "g" * 248, "%DLQ%" + "g" * 250])
def test_a_legal_topic_name_has_no_problem(topic: str) -> None:
    assert topic_problem(topic) is None


def test_system_topics_are_known_by_name_and_by_prefix() -> None:
    assert is_system_topic("TBW102")
    assert is_system_topic("rmq_sys_anything")
    assert not is_system_topic("orders")


@pytest.mark.parametrize(
    ("version", "asked", "standard"),
    [
        (513, None, True),
        (401, None, True),
        (399, None, False),
        (317, None, False),
        (317, "true", True),
        (317, "false", False),
    ],
)
def test_older_clients_get_unquoted_broker_ids_unless_they_ask(version: int, asked: str | None, standard: bool) -> None:
    assert wants_standard_json(version, asked) is standard
