"""Rust source as tokens: items and groups, what is for tests only, and the types that are defined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<literal>b?r(?P<hashes>\#*)".*?"(?P=hashes)|[bc]?"(?:\\.|[^"\\])*"
          |b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])'|'[A-Za-z_]\w*|\d\w*)
      | (?P<word>(?:r\#)?[A-Za-z_]\w*)
      | (?P<sign>::|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_UNTIL_SEMICOLON = frozenset(("use", "static", "type", "let", "extern"))
_TYPE_WORDS = frozenset(("struct", "enum", "union", "trait", "type"))


class Token(NamedTuple):
    """A word, a sign or a literal, with its line; `code` is false for literals."""

    text: str
    line: int
    code: bool = True


class Named(NamedTuple):
    """A type or a function, with its first and last line."""

    name: str
    line: int
    end: int


def tokens_of(text: str) -> list[Token]:
    """Split a source into tokens, without comments."""
    tokens, line = [], 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            tokens.append(Token(match[0], line, match["literal"] is None))
        line += match[0].count("\n")
    return tokens


def after_group(tokens: Sequence[Token], at: int) -> int:
    """Give the index after the group that opens at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].code:
            depth += (tokens[index].text in _OPEN) - (tokens[index].text in _CLOSE)
        if depth == 0:
            return index + 1
    return len(tokens)


def after_item(tokens: Sequence[Token], at: int) -> int:
    """Give the index after the item that begins at `at`, its further attributes included."""
    first = True
    to_semicolon = False
    while at < len(tokens):
        text = tokens[at].text
        if text == "#" and first:
            at = after_group(tokens, at + 1)
            continue
        if text == "pub" or (text == "(" and tokens[at - 1].text == "pub"):
            at = after_group(tokens, at)
            continue
        if first:
            is_constant = text == "const" and tokens[at + 1].text != "fn"
            first, to_semicolon = False, text in _UNTIL_SEMICOLON or is_constant
        if text == ";":
            return at + 1
        if text in _CLOSE:
            return at
        end = after_group(tokens, at)
        if text == "{" and not to_semicolon:
            return end
        at = end
    return at


def _is_for_tests(attribute: Sequence[Token]) -> bool:
    """Say whether an attribute, from its `[` on, keeps its item for tests."""
    words = [token.text for token in attribute[1:6]]
    return words[:3] == ["cfg", "(", "test"] or words[:5] == ["cfg", "(", "all", "(", "test"]


def without_tests(tokens: list[Token]) -> tuple[list[Token], set[int]]:
    """Leave out the items that are compiled for tests only; give what stays, and the lines of what does not."""
    kept: list[Token] = []
    gone: set[int] = set()
    at = 0
    while at < len(tokens):
        if tokens[at].text == "#" and at + 1 < len(tokens) and tokens[at + 1].text == "[":
            end = after_group(tokens, at + 1)
            if _is_for_tests(tokens[at + 1 : end]):
                after = after_item(tokens, end)
                gone.update(range(tokens[at].line, tokens[after - 1].line + 1))
                at = after
                continue
        kept.append(tokens[at])
        at += 1
    return kept, gone


def types_in(tokens: Sequence[Token], makers: frozenset[str] = frozenset()) -> Iterator[Named]:
    """Find definitions of structs, enums, unions, traits and aliases; associated types are none.

    Args:
        tokens: A source.
        makers: Macros whose call defines a type, named first in it.
    """
    associated: list[int] = []  # ends of the bodies of `impl` and `trait` around here
    for at, token in enumerate(tokens[:-2]):
        while associated and at >= associated[-1]:
            associated.pop()
        before = tokens[at - 1].text if at else ";"
        begins = before in (";", "}", "{", "]", ")", "pub", "unsafe", "auto")
        if token.text in makers and tokens[at + 1].text == "!":
            name = at + 3
            while tokens[name].text == "#":
                name = after_group(tokens, name + 1)
            yield Named(tokens[name].text, tokens[name].line, tokens[name].line)
        elif begins and token.text in ("impl", "trait"):
            body = at
            while tokens[body].text not in ("{", ";"):
                body = after_group(tokens, body)
            associated.append(after_group(tokens, body))
        if begins and token.code and token.text in _TYPE_WORDS and re.match(r"[A-Za-z_]", tokens[at + 1].text):
            if token.text == "type" and associated:
                continue
            yield Named(tokens[at + 1].text, token.line, token.line)


def makers_in(tokens: Sequence[Token]) -> Iterator[str]:
    """Find macros that define a type of a name that their call gives."""
    for at, token in enumerate(tokens[:-3]):
        if token.text == "macro_rules":
            body = [inner.text for inner in tokens[at : after_group(tokens, at + 3)]]
            if any(word in ("struct", "enum") and after == "$" for word, after in pairwise(body)):
                yield tokens[at + 2].text
