"""Read a Python package's sources as text: imports between its modules, classes and functions. Imports nothing.

Imports under `if TYPE_CHECKING` and inside functions count. A name that a package's `__init__` only passes on is
followed to the module that defines it, and no import begins or ends at such an `__init__`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from scripts.sources.rust import Import
from scripts.sources.tokens import Named


class Module:
    """A module: its imports, classes, functions and lines."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.text = path.read_text()
        self.tree = ast.parse(self.text)

    @cached_property
    def is_facade(self) -> bool:
        """Whether it only passes names on."""
        return self.path.stem == "__init__" and all(_passes_on(node) for node in self.tree.body)

    @cached_property
    def imports(self) -> list[tuple[str, str, int]]:
        """What it imports: module, name in it (empty for the module itself), line."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(alias.name, "", node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(node.module or "", alias.name, node.lineno) for alias in node.names]
        return found

    @cached_property
    def classes(self) -> list[Named]:
        """Classes, those inside others and inside functions too."""
        return [_named(node) for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]

    @cached_property
    def functions(self) -> list[Named]:
        """Functions and methods, without their decorators."""
        return [
            _named(node) for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    @cached_property
    def lines(self) -> int:
        """All lines."""
        return len(self.text.splitlines())

    @cached_property
    def code_lines(self) -> set[int]:
        """Numbers of the lines that hold code: neither empty, nor a comment, nor part of a docstring."""
        prose = {
            line
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
            for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
        }
        texts = enumerate(self.text.splitlines(), 1)
        return {line for line, text in texts if text.strip() and not text.lstrip().startswith("#")} - prose


def _passes_on(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        return all(_passes_on(inner) for inner in (*node.body, *node.orelse))
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_list = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    return is_docstring or is_list or isinstance(node, ast.Import | ast.ImportFrom)


def _named(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Named:
    return Named(node.name, node.lineno, node.end_lineno or node.lineno)


def package(folder: Path) -> dict[str, Module]:
    """Read all modules of a package, by name; its stubs (`.pyi`) too."""
    modules = {}
    for path in sorted((*folder.rglob("*.py"), *folder.rglob("*.pyi"))):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(path, name)
    return modules


def imports_of(modules: dict[str, Module]) -> list[Import]:
    """Give the imports between a package's modules."""
    return [
        Import(module.name, target, f"{of}.{name}".removesuffix("."), line)
        for module in modules.values()
        if not module.is_facade
        for of, name, line in module.imports
        for target in _targets(modules, of, name)
        if target != module.name and not modules[target].is_facade
    ]


def _targets(modules: dict[str, Module], of: str, name: str) -> Iterator[str]:
    if f"{of}.{name}" in modules:
        of, name = f"{of}.{name}", ""
    if of not in modules:
        return
    if name and modules[of].is_facade:
        for inner, passed, _ in modules[of].imports:
            if passed == name:
                yield from _targets(modules, inner, passed)
        return
    yield of


def class_places(modules: dict[str, Module], root: Path) -> dict[str, list[str]]:
    """Give every class name of a package with its places (`file:line`); not of stubs: Rust defines those."""
    found: dict[str, list[str]] = {}
    for module in modules.values():
        for named in module.classes if module.path.suffix == ".py" else ():
            found.setdefault(named.name, []).append(f"{module.path.relative_to(root)}:{named.line}")
    return found
