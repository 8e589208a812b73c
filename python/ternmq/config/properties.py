"""Java properties files, as `broker.conf` and `namesrv.conf` are written.

Read as Java's own reader does, line by line and escape by escape. Deliberate differences: a file that is UTF-8 is read
as UTF-8, where Java takes every file for Latin-1 and turns names into other names; a byte order mark at its beginning
is not part of the first key.

Source: java.util.Properties#load, Java 17.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ternmq.errors import ConfigError

MAX_FILE_BYTES = 1 << 20

# Java knows three blanks and two ends of a line; Python's methods know more of each.
_BLANKS = " \t\f"
_LINE_END = re.compile(r"\r\n|\r|\n")
_ENTRY = re.compile(r"((?:\\.|[^\\:= \t\f])*)[ \t\f]*[:=]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Entry:
    """One key of a file with its value.

    Attributes:
        key: without blanks around it.
        value: everything after the separator, blanks at the end included.
        line: number of the line that it begins in, from 1.
    """

    key: str
    value: str
    line: int


def read_properties(path: Path) -> list[Entry]:
    """Read a properties file.

    Args:
        path: a text file of at most 1 MiB, UTF-8 or else Latin-1.

    Returns:
        Its entries in order; of a key given twice Java takes the last.

    Raises:
        ConfigError: the file cannot be read, is too large, is not text, or has a malformed escape.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} has {len(raw)} bytes; at most {MAX_FILE_BYTES} are read")
    if b"\0" in raw:
        raise ConfigError(f"{path} is not UTF-8 or Latin-1 text: it holds zero bytes; save it as UTF-8")
    try:
        return parse_properties(_decode(raw))
    except ConfigError as error:
        raise ConfigError(f"{path}:{error}") from None


def parse_properties(text: str) -> list[Entry]:
    """Parse `key=value` lines with Java's comments, continuations and escapes.

    Raises:
        ConfigError: a malformed escape; the sentence begins with the line's number.
    """
    entries = []
    for number, line in _logical_lines(text):
        found = _ENTRY.match(line)
        if found is not None:
            entries.append(Entry(_unescape(found.group(1), number), _unescape(found.group(2), number), number))
    return entries


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give lines without comments, joined where they go on, with the numbers of their first lines."""
    pending, first = "", 0
    goes_on = False
    naturals = _LINE_END.split(text)
    if not naturals[-1]:
        naturals.pop()
    for number, natural in enumerate(naturals, start=1):
        line = natural.lstrip(_BLANKS)
        # Only where nothing is pending does a comment begin; inside of a value it is part of it.
        if not pending and (not line or line[0] in "#!"):
            goes_on = False
            continue
        if not pending:
            first = number
        # An odd number of backslashes at the end continues the line.
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        pending += line[:-1] if goes_on else line
        if not goes_on:
            yield first, pending
            pending = ""
    # A backslash that is alone at the end of a file is an entry without a key for Java, but not before "\r\n".
    if pending or (goes_on and not text.endswith("\r\n")):
        yield first, pending


def _unescape(text: str, line: int) -> str:
    def replace(found: re.Match[str]) -> str:
        code, plain = found.groups()
        if plain == "u":
            raise ConfigError(
                f"{line}: {found.string[found.start() : found.start() + 6]} is no character: \\u takes four hexadecimal"
                " digits; write a backslash itself twice, or / in paths"
            )
        return chr(int(code, 16)) if code else _CONTROL.get(plain, plain)

    if "\\" not in text:
        return text
    # Java's characters are halves of a pair beyond 0xFFFF; a half alone is no character anywhere else.
    return _ESCAPE.sub(replace, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
