"""Java properties files, as `broker.conf` and `namesrv.conf` are written."""

import re
from collections.abc import Iterator
from pathlib import Path

from ternmq.errors import ConfigError

MAX_FILE_BYTES = 1 << 20

_ENTRY = re.compile(r"((?:\\.|[^\\:=\s])*)\s*[:=]?\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(path: Path) -> dict[str, str]:
    """Read a properties file; a key given twice has its last value, as in Java.

    Args:
        path: a UTF-8 file of at most 1 MiB.

    Raises:
        ConfigError: the file cannot be read, is too large or not text.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} has {len(raw)} bytes; at most {MAX_FILE_BYTES} are read")
    try:
        return parse_properties(raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error


def parse_properties(text: str) -> dict[str, str]:
    """Parse `key=value` lines with Java's comments, continuations and escapes."""
    entries: dict[str, str] = {}
    for line in _logical_lines(text):
        found = _ENTRY.match(line)
        if found is not None:
            entries[_unescape(found.group(1))] = _unescape(found.group(2)).rstrip()
    return entries


def _logical_lines(text: str) -> Iterator[str]:
    pending = ""
    for line in text.splitlines():
        line = line.lstrip()
        if not pending and (not line or line[0] in "#!"):
            continue
        pending += line
        # An odd number of backslashes at the end continues the line.
        if (len(pending) - len(pending.rstrip("\\"))) % 2:
            pending = pending[:-1]
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def _unescape(text: str) -> str:
    def replace(found: re.Match[str]) -> str:
        code, plain = found.groups()
        return chr(int(code, 16)) if code else _CONTROL.get(plain, plain)

    return _ESCAPE.sub(replace, text)
