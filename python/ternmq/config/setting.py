"""What a row of the table of settings says. The table itself: `ternmq.config.settings`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from ternmq.config.quantities import duration_text, parse_duration_ms, parse_size, size_text

Value = bool | int | str
Change = Literal["restart", "new group"]
Node = Literal["broker", "nameserver"]
Kind = Literal["switch", "number", "size", "duration", "word"]

_T = TypeVar("_T", bound=Value)


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
        name: in a node's configuration and for the engine, with the unit at its end: "segment_size_bytes".
        default: in its unit.
        help: one sentence.
        node: what kind of node has it. A topology file says those of brokers, in `[defaults]`.
        chosen: what takes the default's place where a file names no value: "by the cores"; None if the default does.
        least: least value; None without a bound.
        most: greatest value; None without a bound.
        words: of a "word", each value with its word in Apache's file, or where Apache has none, the system's.
        apache: its key in Apache's file; None if Apache has none.
        apache_before: an earlier name of that key.
        in_engine: whether a broker's engine is told it.
        change: what a change wants: a restart of the node, or a new group, as it is fixed when a group is founded.
    """

    name: str
    default: Value
    help: str
    node: Node
    chosen: str | None = None
    least: int | None = None
    most: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    apache: str | None = None
    apache_before: str | None = None
    in_engine: bool = True
    change: Change = "restart"

    @property
    def kind(self) -> Kind:
        """What values it takes; sizes are in bytes, durations in milliseconds."""
        if isinstance(self.default, bool):
            return "switch"
        if isinstance(self.default, str):
            return "word"
        if self.name.endswith("_bytes"):
            return "size"
        return "duration" if self.name.endswith("_ms") else "number"

    @property
    def key(self) -> str:
        """Its key in a topology file, whose values say their unit themselves: "segment_size"."""
        return self.name.removesuffix("_bytes").removesuffix("_ms")

    def from_topology(self, value: Value) -> Value:
        """Turn what a topology file says into a value in the row's unit.

        Raises:
            ConfigError: a size or duration that is not a number with a unit.
        """
        if self.kind == "size":
            return parse_size(str(value), f"defaults.{self.key}")
        if self.kind == "duration":
            return parse_duration_ms(str(value), f"defaults.{self.key}")
        return value

    def in_words(self, value: Value) -> str:
        """Write a value as people do, sizes and durations with their unit."""
        if self.kind == "size":
            return size_text(int(value))
        if self.kind == "duration":
            return duration_text(int(value))
        return str(value).lower() if self.kind == "switch" else str(value)

    def in_apache_words(self, value: Value) -> str:
        """Write a value as it stands in Apache's file."""
        return self.words[str(value)] if self.kind == "word" else str(value).lower()


class About(TypedDict, total=False):
    """What a row may say beside its name, default and help: attributes of `Setting`."""

    chosen: str
    least: int
    most: int
    words: Mapping[str, str]
    apache: str
    apache_before: str
    in_engine: bool
    change: Change


def setting(default: _T, help: str, **about: Unpack[About]) -> _T:
    """Make a row of the table: a field of a frozen dataclass, whose annotation is its type.

    Args:
        default: in the unit that ends the field's name.
        help: one sentence; bounds and default are beside it wherever it is shown.
        about: the rest.
    """
    return field(default=default, metadata={"default": default, "help": help} | about)


def rows(table: type[Any], node: Node) -> tuple[Setting, ...]:
    """Give the rows of a table in their order."""
    return tuple(Setting(row.name, node=node, **row.metadata) for row in fields(table))
