"""What Apache's configuration files have in common: sorted keys, typed values, a summary of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ternmq.config.apache_keys import ApacheKey
from ternmq.config.names import nearest
from ternmq.errors import ConfigError


@dataclass
class Summary:
    """What became of each key of a file; print it once at start.

    Attributes:
        mapped: (key, value, our name).
        ignored: (key, value, why).
        unknown: keys that neither Apache nor we know; empty unless the reader was lenient.
        notices: what differs from Apache, in sentences.
    """

    mapped: list[tuple[str, str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Give the summary as lines of text."""
        lines = [f"taken: {key} = {value} ({ours})" for key, value, ours in self.mapped]
        lines += [f"without meaning here: {key} = {value} ({why})" for key, value, why in self.ignored]
        lines += [f"unknown, ignored: {key}" for key in self.unknown]
        return lines + [f"note: {notice}" for notice in self.notices]


def sort_keys(path: Path, entries: Mapping[str, str], table: Mapping[str, ApacheKey], lenient: bool) -> Summary:
    """Sort every key of a file into its kind.

    Args:
        path: the file, for errors.
        entries: its keys and values.
        table: what the keys mean.
        lenient: warn of unknown keys instead of refusing them.

    Raises:
        ConfigError: refused or unknown keys; one sentence for each.
    """
    summary = Summary()
    faults = []
    for key, value in entries.items():
        known = table.get(key)
        if known is None:
            summary.unknown.append(key)
            if not lenient:
                faults.append(f"unknown key {key}; {nearest(key, table)} (--lenient ignores unknown keys)")
        elif known.kind == "mapped":
            summary.mapped.append((key, value, known.text))
        elif known.kind == "ignored":
            summary.ignored.append((key, value, known.text))
        elif value.strip().lower() in known.harmless:
            summary.ignored.append((key, value, "says what is so anyway"))
        else:
            faults.append(f"{key} = {value} cannot be honoured: {known.text}")
    if faults:
        raise ConfigError(f"{path}: " + "; ".join(faults))
    return summary


class Values:
    """The values of a file, by type.

    Args:
        path: the file, for errors.
        entries: its keys and values; an empty value counts as absent, as in Java.
    """

    def __init__(self, path: Path, entries: Mapping[str, str]) -> None:
        self.path = path
        self._entries = {key: value.strip() for key, value in entries.items() if value.strip()}

    def text(self, key: str) -> str | None:
        """Give a text, or None."""
        return self._entries.get(key)

    def required(self, key: str, why: str) -> str:
        """Give a text.

        Raises:
            ConfigError: it is absent; `why` ends the sentence.
        """
        value = self._entries.get(key)
        if value is None:
            raise self.error(f"{key} is missing: {why}")
        return value

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """Give an integer.

        Raises:
            ConfigError: not an integer, or outside its bounds.
        """
        value = self._entries.get(key)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise self.error(f"{key} = {value} is not an integer") from None
        if not least <= number <= most:
            raise self.error(f"{key} = {number} is outside {least} to {most}")
        return number

    def boolean(self, key: str, default: bool) -> bool:
        """Give a boolean.

        Raises:
            ConfigError: neither true nor false. Apache takes any other word for false.
        """
        value = self._entries.get(key)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise self.error(f"{key} = {value} is neither true nor false")
        return value.lower() == "true"

    def error(self, sentence: str) -> ConfigError:
        """Make an error that names the file."""
        return ConfigError(f"{self.path}: {sentence}")
