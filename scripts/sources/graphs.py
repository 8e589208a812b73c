"""Cycles of a graph of imports."""

from __future__ import annotations

from collections.abc import Iterable


def cycles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Give each set of modules that reach each other, sorted, the greatest set first."""
    below: dict[str, set[str]] = {}
    for source, target in arrows:
        below.setdefault(source, set()).add(target)
        below.setdefault(target, set())
    reached = {start: _reached(start, below) for start in below}
    knots = {
        frozenset(other for other in reached[start] if start in reached[other])
        for start in below
        if start in reached[start]
    }
    return sorted((sorted(knot) for knot in knots), key=lambda knot: (-len(knot), knot))


def _reached(start: str, below: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(below[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += below[module]
    return seen


def layers(arrows: Iterable[tuple[str, str]], modules: Iterable[str]) -> list[list[str]]:
    """Give an order from top to bottom, each module as low as what it imports lets it; the graph has no cycle."""
    below: dict[str, set[str]] = {module: set() for module in modules}
    for source, target in arrows:
        below[source].add(target)
    heights: dict[str, int] = {}

    def height(module: str) -> int:
        if module not in heights:
            heights[module] = 1 + max((height(other) for other in below[module]), default=-1)
        return heights[module]

    rows: dict[int, list[str]] = {}
    for module in below:
        rows.setdefault(height(module), []).append(module)
    return [sorted(rows[level]) for level in sorted(rows, reverse=True)]
