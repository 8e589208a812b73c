"""Print figures of the tree's structure: a send's way, cycles, names defined twice, lines, longest functions and files.

    python -m scripts.structure [--root TREE]   the figures, of this tree (`make figures`) or another one
    python -m scripts.structure --draw CRATE    an order of modules that fits a crate's imports

Product is what is installed: tests, benchmarks and the simulator are none. "Code" leaves out empty lines, comments and
docstrings.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.sources.graphs import cycles
from scripts.sources.layers import draw
from scripts.sources.python import Module, class_places, imports_of, package
from scripts.sources.rust import Crate, SourceFile, type_places, workspace
from scripts.sources.tokens import types_in

ROOT = Path(__file__).resolve().parent.parent
_INSTALLED = "python"  # the crate that is built into the package; what it depends on is product, too
_SHOWN = 10
_FILE = re.compile(r"`(crates/[\w/.]+\.rs)`")


class Size(NamedTuple):
    """Lines, those of them that are code, and what has them."""

    lines: int
    code: int
    name: str


class Tree:
    """The sources of a tree, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.crates = workspace(root)
        self.modules = package(root / "python/ternmq")

    @property
    def product(self) -> list[Crate]:
        """Crates that are installed."""
        named = {crate.name: crate for crate in self.crates}
        found, waiting = set(), [_INSTALLED]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += named[name].dependencies() & named.keys()
        return [crate for crate in self.crates if crate.name in found]

    def files(self) -> Iterator[tuple[Path, SourceFile | Module]]:
        """Give each product file with its path in the tree; stubs hold no code."""
        for crate in self.product:
            for file in crate.files:
                yield file.path.relative_to(self.root), file
        for module in self.modules.values():
            if module.path.suffix == ".py":
                yield module.path.relative_to(self.root), module


def files_of_a_send(document: str) -> list[str]:
    """Give the files that the life of a message names from the socket to the answer: its steps 1 to 5."""
    life = document.split("## The life of a message")[1].split("\n## ")[0]
    steps = re.split(r"^\d+\. ", life, flags=re.MULTILINE)[1:6]
    return sorted({file for step in steps for file in _FILE.findall(step)})


def of_a_send(tree: Tree, names: Iterable[str]) -> tuple[int, int, int, int]:
    """Count files, types that they define, and their product lines and lines of code."""
    known = {str(path): file for path, file in tree.files()}
    files = [known[name] for name in names if isinstance(known[name], SourceFile)]
    types = sum(len(list(types_in(file.tokens))) for file in files if isinstance(file, SourceFile))
    return len(files), types, sum(file.lines for file in files), sum(len(file.code_lines) for file in files)


def knots(tree: Tree) -> list[tuple[str, list[str]]]:
    """Give every set of files that import each other, with its crate or package."""
    found = []
    for crate in tree.crates:
        imports = crate.imports()
        found += [(crate.name, knot) for knot in cycles((one.source, one.target) for one in imports)]
    imports = imports_of(tree.modules)
    return found + [("python", knot) for knot in cycles((one.source, one.target) for one in imports)]


def twice(places: dict[str, list[str]]) -> list[str]:
    """Give the names that stand in more than one place."""
    return sorted(name for name, where in places.items() if len(where) > 1)


def sizes(tree: Tree) -> tuple[list[Size], list[Size]]:
    """Count the lines of each crate, and of each Python package."""
    rust = [
        Size(sum(file.lines for file in crate.files), sum(len(file.code_lines) for file in crate.files), crate.name)
        for crate in tree.crates
    ]
    rooms: dict[str, list[Module]] = {}
    for module in tree.modules.values():
        if module.path.suffix == ".py":
            parts = module.path.relative_to(tree.root / "python/ternmq").parts
            rooms.setdefault(parts[0] if len(parts) > 1 else "(top)", []).append(module)
    python = [
        Size(sum(module.lines for module in inside), sum(len(module.code_lines) for module in inside), room)
        for room, inside in rooms.items()
    ]
    return rust, python


def longest_functions(tree: Tree) -> list[Size]:
    """Give the product's functions with the most lines of code."""
    found = [
        Size(one.end - one.line + 1, len(file.code_lines & set(range(one.line, one.end + 1))), f"{path} {one.name}")
        for path, file in tree.files()
        for one in file.functions
    ]
    return sorted(found, key=lambda size: (-size.code, size.name))[:_SHOWN]


def longest_files(tree: Tree) -> list[Size]:
    """Give the product's files with the most lines."""
    found = [Size(file.lines, len(file.code_lines), str(path)) for path, file in tree.files()]
    return sorted(found, key=lambda size: (-size.lines, size.name))[:_SHOWN]


def table(title: str, rows: Sequence[Size]) -> Iterator[str]:
    """Write sizes one under the other."""
    yield ""
    yield f"{title}: lines, of code"
    for row in rows:
        yield f"  {row.lines:6} {row.code:6}  {row.name}"


def report(tree: Tree) -> Iterator[str]:
    """Write all figures."""
    walk = files_of_a_send((tree.root / "docs/architecture.md").read_text())
    files, types, lines, code = of_a_send(tree, walk)
    yield "a stored send, steps 1 to 5 of the life of a message in docs/architecture.md:"
    yield f"  {files} files, {types} types defined in them, {lines} lines, {code} of code"
    found = knots(tree)
    yield f"cycles: {len(found)}, of {sum(len(knot) for _, knot in found)} files"
    yield from (f"  {where}: {', '.join(knot)}" for where, knot in found)
    for what, names in (
        ("Rust type names", twice(type_places(tree.root))),
        ("Python class names", twice(class_places(tree.modules, tree.root))),
    ):
        yield f"{what} defined twice: {len(names)} {' '.join(names)}".rstrip()
    rust, python = sizes(tree)
    yield from table("crates", sorted(rust, reverse=True))
    yield from table("Python packages", sorted(python, reverse=True))
    product = {crate.name for crate in tree.product}
    installed = [size for size in rust if size.name in product]
    for what in ("lines", "code"):
        ours, theirs = (sum(getattr(size, what) for size in part) for part in (installed, python))
        yield f"product, {what}: Rust {ours}, Python {theirs}; {round(100 * ours / (ours + theirs))} : " + str(
            round(100 * theirs / (ours + theirs))
        )
    yield from table("longest functions", longest_functions(tree))
    yield from table("longest files", longest_files(tree))


def drawn(crate: Crate) -> Iterator[str]:
    """Write an order of a crate's modules as TOML."""
    order = draw([file.module for file in crate.files if not file.is_facade], crate.imports())
    yield f"[modules.{crate.name}]"
    for folder in sorted(order, key=lambda name: (name != "root", name)):
        yield f'"{folder}" = [' if "." in folder else f"{folder} = ["
        yield from (f'    "{row}",' for row in order[folder])
        yield "]"


def main() -> int:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to read")
    parser.add_argument("--draw", metavar="CRATE", help="draw an order of this crate's modules")
    arguments = parser.parse_args()
    tree = Tree(arguments.root.resolve())
    if arguments.draw is None:
        print("\n".join(report(tree)))
    else:
        print("\n".join(line for crate in tree.crates if crate.name == arguments.draw for line in drawn(crate)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
