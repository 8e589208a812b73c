"""A written order of modules: from top to bottom, each may import what stands below it.

An order has one list for the crate's root and one for each folder of modules. A row names a module with all that is
inside it, or several joined by ` | `, which do not import each other. The code in a folder's own file is `self` there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scripts.sources.graphs import cycles, layers
from scripts.sources.rust import Import

Order = Mapping[str, Sequence[str]]


def heights(rows: Sequence[str]) -> dict[str, int]:
    """Give the height of each name in a list, the last row's being 0."""
    return {name: level for level, row in enumerate(reversed(rows)) for name in row.split(" | ")}


def folders(modules: Iterable[str]) -> dict[str, set[str]]:
    """Give the members of each folder of modules; the root is called `root`."""
    modules = set(modules)
    found: dict[str, set[str]] = {}
    for module in modules:
        found.setdefault("root", set()).add(module.split(".")[0])
        parts = module.split(".")
        for depth in range(1, len(parts)):
            found.setdefault(".".join(parts[:depth]), set()).add(parts[depth])
    for folder in found.keys() & modules:
        found[folder].add("self")
    return found


def meeting(source: str, target: str) -> tuple[str, str, str]:
    """Give the folder in which two modules part, and the member of it that each is in."""
    left, right = (*source.split("."), "self"), (*target.split("."), "self")
    depth = next(at for at, (one, other) in enumerate(zip(left, right, strict=False)) if one != other)
    return ".".join(left[:depth]) or "root", left[depth], right[depth]


def misplaced(order: Order, modules: Iterable[str]) -> list[str]:
    """Say which modules stand nowhere, twice, or are named and do not exist."""
    found = folders(modules)
    wrong = [f"[{folder}] is no folder of modules" for folder in order.keys() - found.keys()]
    for folder, members in found.items():
        rows = [name for row in order.get(folder, ()) for name in row.split(" | ")]
        wrong += [f"{name} stands nowhere in [{folder}]" for name in members - set(rows)]
        wrong += [f"{name} does not exist in [{folder}]" for name in set(rows) - members]
        wrong += [f"{name} stands twice in [{folder}]" for name in set(rows) if rows.count(name) > 1]
    return sorted(wrong)


def upward(order: Order, imports: Iterable[Import]) -> list[str]:
    """Say which imports do not lead down, with the name that is imported and its line."""
    levels = {folder: heights(rows) for folder, rows in order.items()}
    wrong = []
    for one in imports:
        folder, source, target = meeting(one.source, one.target)
        level = levels.get(folder, {})
        if source in level and target in level and level[source] <= level[target]:
            wrong.append(f"{one.source} -> {one.target} ({one.path}, line {one.line})")
    return sorted(wrong)


def draw(modules: Iterable[str], imports: Iterable[Import]) -> dict[str, list[str]]:
    """Give an order that fits what is imported today; a knot of members is one row, joined by ` <> `."""
    arrows: dict[str, set[tuple[str, str]]] = {}
    for one in imports:
        folder, source, target = meeting(one.source, one.target)
        arrows.setdefault(folder, set()).add((source, target))
    order = {}
    for folder, members in sorted(folders(modules).items()):
        inside = arrows.get(folder, set())
        knot_of = {name: " <> ".join(knot) for knot in cycles(inside) for name in knot}
        merged = {(knot_of.get(one, one), knot_of.get(other, other)) for one, other in inside}
        rows = layers({pair for pair in merged if pair[0] != pair[1]}, {knot_of.get(name, name) for name in members})
        order[folder] = [" | ".join(row) for row in rows]
    return order
