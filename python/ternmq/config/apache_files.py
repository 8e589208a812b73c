"""What Apache's configuration files have in common: sorted keys, typed values, a summary of both."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ternmq.config.apache_keys import ApacheKey
from ternmq.config.names import nearest
from ternmq.config.placeholders import placeholder_problem, value_problem
from ternmq.config.properties import Entry
from ternmq.config.setting import Setting, Value
from ternmq.errors import ConfigError

# What mqadmin writes above what it got: without a key for Java's reader, as it begins with the separator.
_HEADING = re.compile(r"=+[^=]*=*\s*")
_SECRETS = re.compile(r"secret|credential|password|authenticationuser|exporterheader", re.IGNORECASE)
# More of one reason are named without their values, which stand in the file.
_SHOWN_WITH_VALUES = 8
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


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
        """Give the summary as lines of text; keys without meaning come in one line for each reason."""
        lines = [f"taken: {key} = {value} ({ours})" for key, value, ours in self.mapped]
        reasons: dict[str, list[tuple[str, str]]] = {}
        for key, value, why in self.ignored:
            reasons.setdefault(why, []).append((key, value))
        lines += [f"without meaning here: {_enumerate(pairs)} ({why})" for why, pairs in reasons.items()]
        lines += [f"unknown, ignored: {key}" for key in self.unknown]
        return lines + [f"note: {notice}" for notice in self.notices]


def _enumerate(pairs: Sequence[tuple[str, str]]) -> str:
    if len(pairs) > _SHOWN_WITH_VALUES:
        return ", ".join(key for key, _ in pairs)
    return ", ".join(f"{key} = {'***' if _SECRETS.search(key) else value}" for key, value in pairs)


def sort_keys(path: Path, entries: Sequence[Entry], table: Mapping[str, ApacheKey], lenient: bool) -> Summary:
    """Sort every key of a file into its kind.

    Args:
        path: the file, for errors.
        entries: its keys and values in order; of a key given twice the last counts, as in Java.
        table: what the keys mean.
        lenient: warn of unknown keys instead of refusing them.

    Raises:
        ConfigError: refused or unknown keys; one sentence for each.
    """
    summary = Summary(notices=_contradictions(entries))
    faults = []
    for entry in {entry.key: entry for entry in entries}.values():
        key, value = entry.key, entry.value.strip()
        known = table.get(key)
        if not key:
            if not _HEADING.fullmatch(entry.value):
                faults.append(f"{path}:{entry.line}: there is a value without a key; write key=value")
        elif known is None:
            summary.unknown.append(key)
            if placeholder_problem(key):
                faults.append(f"{path}:{entry.line}: this is a line of a template; fill it in first")
            elif not lenient:
                hint = nearest(key, table)
                faults.append(
                    f"{path}:{entry.line}: unknown key {key}; {hint or 'neither Apache nor ternmq has it'}"
                    " (--lenient ignores unknown keys)"
                )
        elif known.kind == "ignored":
            summary.ignored.append((key, value, known.text))
        elif known.kind == "refused":
            if not value or " ".join(value.lower().split()) in known.harmless:
                summary.ignored.append((key, value, "says what is so anyway"))
            else:
                faults.append(f"{path}:{entry.line}: {key} = {value} cannot be honoured: {known.text}")
        elif (problem := value_problem(value)) is not None:
            faults.append(f"{path}:{entry.line}: {key} = {value} {problem}")
        else:
            summary.mapped.append((key, value, known.text))
    if faults:
        raise ConfigError("; ".join(faults))
    return summary


def _contradictions(entries: Sequence[Entry]) -> list[str]:
    """Say which keys are given twice with different values: nobody notices that the first is without effect."""
    first: dict[str, Entry] = {}
    said = []
    for entry in entries:
        before = first.setdefault(entry.key, entry)
        if entry.key and before.value.strip() != entry.value.strip():
            said.append(f"{entry.key} is given in line {before.line} and again in line {entry.line}; the last counts")
    return said


class Values:
    """The values of a file, by type.

    Args:
        path: the file, for errors.
        entries: its keys and values; an empty value counts as absent, as in Java.
    """

    def __init__(self, path: Path, entries: Sequence[Entry]) -> None:
        self.path = path
        self._entries = {entry.key: entry for entry in entries}

    def text(self, key: str) -> str | None:
        """Give a text, or None."""
        entry = self._entries.get(key)
        return (entry.value.strip() or None) if entry is not None else None

    def required(self, key: str, why: str) -> str:
        """Give a text.

        Raises:
            ConfigError: it is absent; `why` ends the sentence.
        """
        value = self.text(key)
        if value is None:
            raise self.error(f"{key} is missing: {why}")
        return value

    def setting(self, row: Setting) -> Value:
        """Give a setting, or its default.

        Raises:
            ConfigError: of another kind, or outside its bounds.
        """
        key = row.apache
        if key is None:
            return row.default
        if row.apache_before is not None and self.text(key) is None:
            key = row.apache_before
        if row.kind == "switch":
            return self.boolean(key, bool(row.default))
        if row.kind == "word":
            return self._word(key, row)
        assert row.least is not None
        assert row.most is not None
        return self.integer(key, int(row.default), row.least, row.most)

    def _word(self, key: str, row: Setting) -> str:
        text = self.text(key) or row.in_apache_words(row.default)
        for ours, apache in row.words.items():
            if text == apache:
                return ours
        raise self.error(f"{key} = {text} is neither {' nor '.join(row.words.values())}", key)

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """Give an integer.

        Raises:
            ConfigError: not an integer, or outside its bounds.
        """
        value = self.text(key)
        if value is None:
            return default
        if not _INTEGER.fullmatch(value):
            raise self.error(f"{key} = {value} is not an integer", key)
        number = int(value)
        if not least <= number <= most:
            raise self.error(f"{key} = {number} is outside {least} to {most}", key)
        return number

    def boolean(self, key: str, default: bool) -> bool:
        """Give a boolean.

        Raises:
            ConfigError: neither true nor false. Apache takes any other word for false.
        """
        value = self.text(key)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise self.error(f"{key} = {value} is neither true nor false", key)
        return value.lower() == "true"

    def error(self, sentence: str, key: str | None = None) -> ConfigError:
        """Make an error that names the file, and the line of the key that it is about."""
        entry = self._entries.get(key) if key is not None else None
        return ConfigError(f"{self.path}{f':{entry.line}' if entry is not None else ''}: {sentence}")

    def where(self, key: str) -> str:
        """Name a key with file and line, for an error that is seen later."""
        entry = self._entries.get(key)
        return f"{self.path}:{entry.line}: {key}" if entry is not None else f"{self.path}: {key}"

    @contextmanager
    def at(self, key: str) -> Iterator[None]:
        """Let an error about a key's value name the file and the line."""
        try:
            yield
        except ConfigError as error:
            raise self.error(str(error), key) from None
