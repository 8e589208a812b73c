"""Topic attributes: `+key=value` sets, `-key` removes."""

import pytest

from ternmq.broker.topic_attributes import apply_attributes
from ternmq.errors import AttributeRefusedError


@pytest.mark.parametrize(
    ("current", "text", "result"),
    [
        (None, "", {}),
        (None, "+message.type=FIFO", {"message.type": "FIFO"}),
        (None, "+message.type=NORMAL,+queue.type=SimpleCQ", {"message.type": "NORMAL", "queue.type": "SimpleCQ"}),
        ({"message.type": "FIFO"}, "", {"message.type": "FIFO"}),
        ({"message.type": "FIFO"}, "+message.type=DELAY", {"message.type": "DELAY"}),
        ({"message.type": "FIFO"}, "-message.type", {}),
        ({"queue.type": "SimpleCQ"}, "+queue.type=SimpleCQ", {"queue.type": "SimpleCQ"}),
    ],
)
def test_a_request_changes_what_it_names(current: dict[str, str] | None, text: str, result: dict[str, str]) -> None:
    assert apply_attributes(current, text) == result


@pytest.mark.parametrize(
    ("current", "text", "words"),
    [
        (None, "message.type=FIFO", "begins with neither"),
        (None, "-message.type", "only add attribute is supported while creating"),
        (None, "+", "is no key"),
        (None, "+a-b=1", "is no key"),
        (None, "+message.type=FIFO,+message.type=FIFO", "key duplication"),
        (None, "+colour=red", "unsupported key: colour"),
        (None, "+message.type=MIXED", "is not one of"),
        (None, "+queue.type=BatchCQ", "is not one of"),
        ({}, "-message.type", "nonexistent key"),
        ({}, "+queue.type=SimpleCQ", "unchangeable"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_with_29(current: dict[str, str] | None, text: str, words: str) -> None:
    with pytest.raises(AttributeRefusedError, match=words) as caught:
        apply_attributes(current, text)
    assert caught.value.code == 29
