"""Tag filters: ``*`` or ``a || b``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ternmq.client.sharding import java_string_hash
from ternmq.errors import ConfigError

ALL = "*"


class TagFilter(NamedTuple):
    """A subscription by tag.

    Args:
        expression: as brokers and other clients see it.
        tags: what it lets through; empty lets everything through.
        codes: hashes of the tags, as in the broker's consume queue.
    """

    expression: str
    tags: frozenset[str]
    codes: tuple[int, ...]

    @property
    def normal(self) -> str:
        """The same for all filters that let the same messages through, as brokers of ours write it."""
        return " || ".join(sorted(self.tags)) or ALL

    def matches(self, properties: Mapping[str, str]) -> bool:
        """Whether a message passes; brokers compare hashes only, so strangers with the same hash arrive here."""
        return not self.tags or properties.get("TAGS") in self.tags


def parse_filter(expression: object) -> TagFilter:
    """Read a filter expression.

    Raises:
        ConfigError: neither ``*`` nor tags separated by ``||``.

    Source: RocketMQ, FilterAPI#buildSubscriptionData.
    """
    if not isinstance(expression, str):
        raise ConfigError(f"filter is {expression!r}, but must be '*' or tags separated by '||'")
    text = expression.strip()
    if text in ("", ALL):
        return TagFilter(ALL, frozenset(), ())
    names = [name.strip() for name in text.split("||")]
    for name in names:
        check_tag(name, f"filter {expression!r}")
    unique = tuple(dict.fromkeys(names))
    return TagFilter(" || ".join(unique), frozenset(unique), tuple(java_string_hash(name) for name in unique))


def check_tag(tag: object, what: str) -> None:
    """Refuse a tag that could not be subscribed to.

    Raises:
        ConfigError: not a string, empty, blank at an end, ``*``, a vertical bar, or a control character inside.
    """
    if not isinstance(tag, str):
        raise ConfigError(f"{what}: a tag must be a string")
    if not tag or tag != tag.strip() or tag == ALL or "|" in tag or any(unit < " " for unit in tag):
        raise ConfigError(f"{what}: a tag must be a word without blanks at its ends, '|' and control characters")
