"""Read the workspace's Rust sources as text: modules, the imports between them, types and functions. Builds nothing.

What stands under `#[cfg(test)]` is no product. An import is followed through `pub use` to the file that defines the
name; a file that only declares modules and re-exports is a facade, and no import begins or ends there. Calls of methods
are not seen: only names in `use` and in paths are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from scripts.sources.tokens import Named, Token, after_group, after_item, makers_in, tokens_of, types_in, without_tests


class Use(NamedTuple):
    """One name that a `use` brings: its path, the name it has here (`*` for all), and the line."""

    path: tuple[str, ...]
    name: str
    line: int


class Import(NamedTuple):
    """One module's use of another's name."""

    source: str
    target: str
    path: str
    line: int


def _use_tree(tokens: Sequence[Token], at: int, prefix: tuple[str, ...], line: int) -> tuple[list[Use], int]:
    """Read one branch of a `use`; give its names and the index after it."""
    path, uses = list(prefix), []
    while True:
        text = tokens[at].text
        if text == "{":
            at += 1
            while tokens[at].text != "}":
                inner, at = _use_tree(tokens, at, tuple(path), line)
                uses += inner
                at += tokens[at].text == ","
            return uses, at + 1
        if text == "*":
            return [Use(tuple(path), "*", line)], at + 1
        if text != "::":
            path.append(text.removeprefix("r#"))
        at += 1
        if tokens[at].text == "as":
            return [Use(tuple(path), tokens[at + 1].text, line)], at + 2
        if tokens[at].text in (";", ",", "}"):
            if path[-1] == "self":
                path.pop()
            return [Use(tuple(path), path[-1] if path else "crate", line)], at


@dataclass
class Scope:
    """A module: a file, or a part of one in braces."""

    file: SourceFile
    path: tuple[str, ...]
    parent: Scope | None = None
    children: dict[str, Scope] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    paths: list[Use] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class SourceFile:
    """A file: what is product of it, its types, its functions, its lines."""

    def __init__(self, path: Path, module: str) -> None:
        self.path, self.module = path, module
        self.text = path.read_text()
        self.all_tokens = tokens_of(self.text)
        self.tokens, self.test_lines = without_tests(self.all_tokens)

    @cached_property
    def is_facade(self) -> bool:
        """Whether it only declares modules and re-exports."""
        at = 0
        while at < len(self.tokens):
            token = self.tokens[at]
            if token.text == "#":
                at = after_group(self.tokens, at + 1 + (self.tokens[at + 1].text == "!"))
            elif token.text == "pub" or (token.text == "(" and self.tokens[at - 1].text == "pub"):
                at = after_group(self.tokens, at)
            elif token.text == "use" or (token.text == "mod" and self.tokens[at + 2].text == ";"):
                at = after_item(self.tokens, at)
            else:
                return False
        return True

    @cached_property
    def lines(self) -> int:
        """Lines of product, comments and empty ones too."""
        return len(self.text.splitlines()) - len(self.test_lines)

    @cached_property
    def code_lines(self) -> set[int]:
        """Numbers of the product's lines that hold code."""
        return {line for token in self.tokens for line in range(token.line, token.line + token.text.count("\n") + 1)}

    @cached_property
    def functions(self) -> list[Named]:
        """Functions of the product that have a body."""
        found = []
        for at, token in enumerate(self.tokens[:-1]):
            if token.text == "fn" and re.match(r"[A-Za-z_]", self.tokens[at + 1].text):
                body = at
                while self.tokens[body].text not in ("{", ";"):
                    body = after_group(self.tokens, body)
                if self.tokens[body].text == "{":
                    last = self.tokens[after_group(self.tokens, body) - 1].line
                    found.append(Named(self.tokens[at + 1].text, token.line, last))
        return found


class Crate:
    """A crate's modules, from its roots (`lib.rs`, `main.rs`, `bin/`) on."""

    def __init__(self, folder: Path) -> None:
        manifest = tomllib.loads((folder / "Cargo.toml").read_text())
        self.folder = folder
        self.name: str = manifest["package"]["name"].removeprefix("tern-")
        self.manifest = manifest
        self.files: list[SourceFile] = []
        self.roots = []
        source = folder / "src"
        for path in (source / "lib.rs", source / "main.rs", *sorted((source / "bin").glob("*.rs"))):
            if path.exists():
                module = path.stem if path.parent == source else f"bin.{path.stem}"
                self.roots.append(self._read(path, module, (), None, path.parent))

    def dependencies(self, table: str = "dependencies") -> set[str]:
        """Give the crates that it depends on, ours without their prefix; not those that a feature turns on."""
        wanted = self.manifest.get(table, {})
        return {
            name.removeprefix("tern-")
            for name, how in wanted.items()
            if not (isinstance(how, dict) and how.get("optional"))
        }

    def _read(self, path: Path, module: str, at: tuple[str, ...], parent: Scope | None, folder: Path) -> Scope:
        file = SourceFile(path, module)
        self.files.append(file)
        scope = Scope(file, at, parent)
        self._scan(scope, file.tokens, folder)
        return scope

    def _scan(self, scope: Scope, tokens: Sequence[Token], folder: Path) -> None:
        at = 0
        while at < len(tokens):
            text = tokens[at].text
            before = tokens[at - 1].text if at else ";"
            if text == "use" and tokens[at].code:
                uses, at = _use_tree(tokens, at + 1, (), tokens[at].line)
                scope.uses += uses
            elif text == "mod" and tokens[at + 2].text in (";", "{"):
                at = self._module(scope, tokens, at, folder)
            elif tokens[at + 1 : at + 2] and tokens[at + 1].text == "::" and before != "::" and tokens[at].code:
                start, words = at, [text]
                while at + 2 < len(tokens) and tokens[at + 1].text == "::" and tokens[at + 2].text[0].isidentifier():
                    at += 2
                    words.append(tokens[at].text)
                scope.paths.append(Use(tuple(words), words[-1], tokens[start].line))
                at += 1
            else:
                if before in ("struct", "enum", "union", "trait", "type", "fn", "const", "static"):
                    scope.names.add(text)
                at += 1

    def _module(self, scope: Scope, tokens: Sequence[Token], at: int, folder: Path) -> int:
        name = tokens[at + 1].text
        inner = (*scope.path, name)
        if tokens[at + 2].text == "{":
            end = after_group(tokens, at + 2)
            child = Scope(scope.file, inner, scope)
            scope.children[name] = child
            self._scan(child, tokens[at + 3 : end - 1], folder / name)
            return end
        path = next(path for path in (folder / f"{name}.rs", folder / name / "mod.rs") if path.exists())
        scope.children[name] = self._read(path, ".".join(inner), inner, scope, folder / name)
        return at + 3

    def imports(self) -> list[Import]:
        """Give the imports between its files, each name once a file."""
        found: dict[tuple[str, str, str], Import] = {}
        for root in self.roots:
            for scope in _scopes(root):
                for use in (*scope.uses, *scope.paths):
                    for target in self._targets(root, scope, use):
                        source = scope.file
                        if target is source or source.is_facade or target.is_facade:
                            continue
                        path = "::".join(use.path)
                        found.setdefault(
                            (source.module, target.module, path), Import(source.module, target.module, path, use.line)
                        )
        return list(found.values())

    def _targets(self, root: Scope, scope: Scope, use: Use) -> list[SourceFile]:
        path = _absolute(scope, use.path)
        if path is None:
            return []
        found = _resolve(root, path, frozenset())
        if found is None:
            return []
        if use.name == "*" and found.file.is_facade:
            return [inner for other in found.uses for inner in self._targets(root, found, other)]
        return [found.file]


def _scopes(scope: Scope) -> Iterator[Scope]:
    yield scope
    for child in scope.children.values():
        yield from _scopes(child)


def _absolute(scope: Scope, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Give a path from the crate's root on; none for one that leads to another crate or to this module."""
    if not path:
        return None
    first, rest = path[0], path[1:]
    if first == "crate":
        return rest
    if first == "self":
        return _absolute(scope, rest) if rest[:1] == ("super",) else (*scope.path, *rest)
    if first == "super":
        outer = scope.parent
        return None if outer is None else _absolute(outer, ("self", *rest))
    if first in scope.children:
        return (*scope.path, *path)
    for use in scope.uses:
        if use.name == first and use.path != path[: len(use.path)]:
            target = _absolute(scope, use.path)
            return None if target is None else (*target, *rest)
    return None


def _resolve(root: Scope, path: tuple[str, ...], seen: frozenset[tuple[str, ...]]) -> Scope | None:
    """Follow a path from the root to the module that defines its name; none if that is another crate's."""
    if path in seen:
        return None
    seen |= {path}
    at = root
    for index, name in enumerate(path):
        if name in at.children:
            at = at.children[name]
            continue
        for use in at.uses:
            if use.name == name:
                target = _absolute(at, use.path)
                found = None if target is None else _resolve(root, (*target, *path[index + 1 :]), seen)
                return at if found is None and use.path == (name,) else found
        if name not in at.names:
            for use in at.uses:
                target = _absolute(at, use.path) if use.name == "*" else None
                found = None if target is None else _resolve(root, (*target, *path[index:]), seen)
                if found is not None and name in found.names:
                    return found
        return at
    return at


def workspace(root: Path) -> list[Crate]:
    """Read all crates of a workspace."""
    members = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["members"]
    folders = sorted(folder for member in members for folder in root.glob(member))
    return [Crate(folder) for folder in folders if (folder / "Cargo.toml").exists()]


def type_places(root: Path) -> dict[str, list[str]]:
    """Give every type name of the workspace with its places (`file:line`), tests and their support included."""
    sources = [path for crate in workspace(root) for path in sorted(crate.folder.rglob("*.rs"))]
    tokens = {path: tokens_of(path.read_text()) for path in sources}
    makers = frozenset(maker for inner in tokens.values() for maker in makers_in(inner))
    found: dict[str, list[str]] = {}
    for path, inner in tokens.items():
        for named in types_in(inner, makers):
            found.setdefault(named.name, []).append(f"{path.relative_to(root)}:{named.line}")
    return found
