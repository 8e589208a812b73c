"""The exception tree: drawn once, exported whole, and the only place that errors come from."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ternmq
from ternmq import errors

PACKAGE = Path(ternmq.__file__).parent
CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
}
# What stays among the command line, the language's own protocols, and checks of what only ternmq itself calls.
ELSEWHERE = {
    "cli": {"CommandError", "UsageError", "KeyboardInterrupt", "NoSuchCommand"},
    "client": {"StopAsyncIteration"},
    "client/sharding.py": {"ValueError"},
    "chaos/history.py": {"ValueError"},
    "protocol/topics.py": {"ValueError"},
    "cluster/parent.py": {"OSError"},
    "__init__.py": {"AttributeError"},
}


def _drawn() -> Iterator[tuple[str, str | None, set[str]]]:
    """Give the classes of the drawing: name, parent in it, builtins beside it."""
    above: list[tuple[int, str]] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        text = line.lstrip(" │├└─")
        column = len(line) - len(text)
        name = text.split(" ")[0]
        if not name[:1].isupper() or column == 0:
            continue
        while above and above[-1][0] >= column:
            above.pop()
        beside = text[len(name) :].lstrip()
        builtins = {beside[1:].split(")")[0]} if beside.startswith("(") else set()
        yield name, above[-1][1] if above else None, builtins
        above.append((column, name))


def test_every_class_stands_once_in_the_tree_below_its_parents() -> None:
    drawn = list(_drawn())
    assert sorted(name for name, *_ in drawn) == sorted(CLASSES)
    for name, parent, builtins in drawn:
        bases = {base.__name__ for base in CLASSES[name].__bases__}
        expected = {*builtins, *([] if parent is None or parent in builtins else [parent])}
        assert bases == (expected or {"Exception"}), name


def test_every_class_is_a_public_name() -> None:
    assert [name for name in CLASSES if name not in ternmq.__all__] == []
    assert [name for name, kind in CLASSES.items() if getattr(ternmq, name, None) is not kind] == []


def test_no_other_module_makes_an_error_class_or_raises_a_foreign_one() -> None:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).as_posix()
        allowed = {*CLASSES, *ELSEWHERE.get(place, ()), *ELSEWHERE.get(place.split("/")[0], ())}
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and place != "errors.py":
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if bases & {*CLASSES, "Exception"} and node.name not in allowed:
                    found.append(f"{place}:{node.lineno} class {node.name}")
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                raised = node.exc.func
                name = raised.attr if isinstance(raised, ast.Attribute) else getattr(raised, "id", "")
                if name[:1].isupper() and name not in allowed:
                    found.append(f"{place}:{node.lineno} raise {name}")
    assert found == []


def test_a_type_checker_finds_a_name_that_does_not_exist(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import ternmq\n\nternmq.Conzumer\nternmq.Consumer\nternmq.ForkedClientError\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", program],
        env={"MYPYPATH": str(PACKAGE.parent), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert [line for line in checked.stdout.splitlines() if "program.py" in line] == [
        'program.py:3: error: Module has no attribute "Conzumer"; maybe "Consumer"?  [attr-defined]'
    ]


def test_a_name_that_does_not_exist_is_an_attribute_error_at_run_time() -> None:
    with pytest.raises(AttributeError, match="Conzumer"):
        getattr(ternmq, "Conzumer")  # noqa: B009  # a checker would find the plain form
