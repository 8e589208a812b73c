"""No Python module imports itself through others, for type checking neither; import-linter holds the order."""

from pathlib import Path

from scripts.sources.graphs import cycles
from scripts.sources.python import imports_of, package

ROOT = Path(__file__).parents[3]
MODULES = package(ROOT / "python/ternmq")


def test_no_module_imports_itself_through_others() -> None:
    imports = imports_of(MODULES)
    assert len(imports) > 1000
    knots = cycles((one.source, one.target) for one in imports)
    arrows = [
        f"{one.source} -> {one.target} ({one.path}, line {one.line})"
        for knot in knots
        for one in imports
        if {one.source, one.target} <= set(knot)
    ]
    assert knots == [], "\n".join(arrows)
