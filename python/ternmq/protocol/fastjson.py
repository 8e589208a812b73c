"""JSON as RocketMQ's programs write it, which is not always JSON.

The Java side uses fastjson 1.2. Its maps with integer keys come unquoted (`{0:"ip:port"}`), maps with object keys as
inline objects (`{{"brokerName":"b","queueId":0,"topic":"T"}:5}`), and it reads unquoted names and single quotes.
`decode` reads all of that; `encode` writes either form.

References (`{"$ref":"$.x"}`), which fastjson writes for an object that occurs twice, are refused.
"""

import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from ternmq.errors import BodyError

MAX_DEPTH = 32

Body = TypeVar("Body")


def decode_as(raw: bytes, kind: type[Body], what: str) -> Body:
    """Read a body into a type, leniently in syntax and in numbers written as text.

    Args:
        raw: the body.
        kind: a msgspec type; unknown members are ignored.
        what: name of the body, for the error.

    Raises:
        BodyError: even the lenient reader cannot read it, or it lacks what the type needs.
    """
    try:
        # Nearly every body is plain JSON, which is read natively; only the rest takes the slow way.
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(decode(raw), kind, strict=False, str_keys=True)
    except (msgspec.ValidationError, BodyError) as error:
        raise BodyError(f"{what} cannot be read: {error}") from error


def decode(raw: bytes) -> Any:
    """Read a body into dicts, lists and scalars.

    Keys are always texts: an integer key is its decimal form, an object key its compact JSON with sorted members.

    Args:
        raw: UTF-8.

    Raises:
        BodyError: not readable, deeper than 32 levels, or with references.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BodyError(f"not UTF-8: {error}") from error
    reader = _Reader(text)
    value = reader.value(0)
    reader.finish()
    return value


_SPACE = re.compile(r"[ \t\r\n\f\b]*")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.\-]*")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_PLAIN = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_WORDS = {"true": True, "false": False, "null": None}


class _Reader:
    """Recursive descent over one text; every step moves forward, so time is linear."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, expected: str) -> NoReturn:
        found = self.text[self.at : self.at + 12] or "the end"
        raise BodyError(f"expected {expected} at character {self.at}, found {found!r}")

    def skip(self) -> str:
        """Skip white space and give the next character, empty at the end."""
        found = _SPACE.match(self.text, self.at)
        assert found is not None, "the pattern matches the empty text"
        self.at = found.end()
        return self.text[self.at : self.at + 1]

    def finish(self) -> None:
        if self.skip() not in ("", "\0"):
            self.fail("the end")

    def value(self, depth: int) -> Any:
        first = self.skip()
        if first == "{":
            return self.object(depth + 1)
        if first == "[":
            return self.array(depth + 1)
        if first in ('"', "'"):
            return self.string(first)
        found = _NUMBER.match(self.text, self.at)
        if found is not None:
            return self.number(found)
        found = _NAME.match(self.text, self.at)
        if found is not None and found.group() in _WORDS:
            self.at = found.end()
            return _WORDS[found.group()]
        self.fail("a value")

    def number(self, found: re.Match[str]) -> int | float:
        self.at = found.end()
        if found.group(1) is None and found.group(2) is None:
            if len(found.group()) > 400:
                self.fail("a number of at most 400 digits")
            return int(found.group())
        return float(found.group())

    def string(self, quote: str) -> str:
        self.at += 1
        parts: list[str] = []
        while True:
            found = _PLAIN[quote].match(self.text, self.at)
            assert found is not None, "the pattern matches the empty text"
            parts.append(found.group())
            self.at = found.end()
            mark = self.text[self.at : self.at + 1]
            if mark == quote:
                self.at += 1
                return "".join(parts)
            if mark != "\\":
                self.fail("the end of a text")
            parts.append(self.escape())

    def escape(self) -> str:
        kind = self.text[self.at + 1 : self.at + 2]
        if kind != "u":
            if not kind:
                self.fail("an escape")
            self.at += 2
            return _ESCAPES.get(kind, kind)
        code = self.hex_code()
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
            low = self.hex_code()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00))
            self.fail("the second half of a character")
        if 0xD800 <= code < 0xE000:
            self.fail("a whole character")
        return chr(code)

    def hex_code(self) -> int:
        digits = self.text[self.at + 2 : self.at + 6]
        if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            self.fail("four hexadecimal digits")
        self.at += 6
        return int(digits, 16)

    def array(self, depth: int) -> list[Any]:
        self.bound(depth)
        self.at += 1
        items: list[Any] = []
        while self.skip() != "]":
            items.append(self.value(depth))
            self.separator("]")
        self.at += 1
        return items

    def object(self, depth: int) -> dict[str, Any]:
        self.bound(depth)
        self.at += 1
        members: dict[str, Any] = {}
        while self.skip() != "}":
            key = self.key(depth)
            if key == "$ref":
                raise BodyError("references are not read")
            if self.skip() != ":":
                self.fail("a colon")
            self.at += 1
            members[key] = self.value(depth)
            self.separator("}")
        self.at += 1
        return members

    def key(self, depth: int) -> str:
        first = self.skip()
        if first in ('"', "'"):
            return self.string(first)
        if first == "{":
            return _compact(self.object(depth + 1))
        for pattern in (_NUMBER, _NAME):
            found = pattern.match(self.text, self.at)
            if found is not None:
                self.at = found.end()
                return found.group()
        self.fail("a key")

    def separator(self, closing: str) -> None:
        following = self.skip()
        if following == ",":
            self.at += 1
        elif following != closing:
            self.fail(f"a comma or {closing}")

    def bound(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise BodyError(f"deeper than {MAX_DEPTH} levels")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def encode(value: Any, *, standard: bool = False) -> bytes:
    """Write a body as fastjson does: members in the order given, no white space.

    Args:
        value: dicts, lists and scalars; members that are None are left out, as fastjson leaves out null members.
        standard: quote integer keys and escape what is not ASCII, as for clients that read only JSON.

    A key may be a tuple of name and value pairs: an object, written inline, or quoted as a text in the standard form.
    """
    parts: list[str] = []
    _write(value, standard, parts)
    return "".join(parts).encode()


def _write(value: Any, standard: bool, parts: list[str]) -> None:
    if isinstance(value, dict):
        separator = "{"
        for key, member in value.items():
            if member is None:
                continue
            parts.append(separator)
            separator = ","
            if isinstance(key, str):
                parts.append(json.dumps(key, ensure_ascii=standard))
            elif isinstance(key, tuple):
                inline = json.dumps(dict(key), ensure_ascii=standard, separators=(",", ":"))
                parts.append(json.dumps(inline) if standard else inline)
            else:
                parts.append(f'"{key}"' if standard else str(key))
            parts.append(":")
            _write(member, standard, parts)
        parts.append("{}" if separator == "{" else "}")
    elif isinstance(value, list) and all(type(item) is str for item in value):
        # There are lists of 20,000 names: they are written natively, and as each by itself would be.
        native = json.dumps(value, separators=(",", ":")) if standard else msgspec.json.encode(value).decode()
        parts.append(native)
    elif isinstance(value, list | tuple):
        separator = "["
        for item in value:
            parts.append(separator)
            separator = ","
            _write(item, standard, parts)
        parts.append("[]" if separator == "[" else "]")
    else:
        parts.append(json.dumps(value, ensure_ascii=standard))
