"""The figures of the structure, counted on a small tree."""

from pathlib import Path

import pytest
from scripts import structure
from scripts.sources.python import class_places
from scripts.sources.rust import type_places

LIB = """//! Doc.

pub struct A;
/// Doc.
pub fn long() {
    // Why.

    one();
    two();
}
fn short() {}

#[cfg(test)]
mod tests {
    struct A;
    fn very_long() {
        one();
        two();
        three();
    }
}
"""
PYTHON = '''"""Doc."""


class K:
    """Doc."""

    def f(self):
        # Why.
        return 1
'''
ARCHITECTURE = """# Architecture

## The life of a message

1. `crates/x/src/lib.rs` · `long`; `crates/x/src/lib.rs` · `short`
2. none
3. none
4. none
5. `crates/x/src/more.rs` · `f`
6. `crates/x/src/pull.rs` · `pull`

## Threads

`crates/x/src/other.rs`
"""
FILES = {
    "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n',
    "crates/x/Cargo.toml": '[package]\nname = "tern-x"\n',
    "crates/python/Cargo.toml": '[package]\nname = "tern-python"\n[dependencies]\ntern-x.workspace = true\n',
    "crates/python/src/lib.rs": "",
    "crates/x/src/lib.rs": LIB.replace("pub struct A;", "mod more;\nuse more::B;\npub struct A;"),
    "crates/x/src/more.rs": "use crate::A;\npub enum B {}\npub trait C {}\nfn f() {}\n",
    "crates/sim/Cargo.toml": '[package]\nname = "tern-sim"\n',
    "crates/sim/src/lib.rs": "pub fn f() {\n    one();\n    two();\n    three();\n    four();\n}\n",
    "docs/architecture.md": ARCHITECTURE,
    "python/ternmq/__init__.py": "",
    "python/ternmq/room/one.py": PYTHON,
    "python/ternmq/room/two.py": "class K: pass\n",
    "python/ternmq/stub.pyi": "class A: ...\nclass K: ...\ndef f(): ...\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> structure.Tree:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return structure.Tree(tmp_path)


def test_a_send_passes_the_files_of_steps_1_to_5_each_once(tree: structure.Tree) -> None:
    files = structure.files_of_a_send(ARCHITECTURE)
    assert files == ["crates/x/src/lib.rs", "crates/x/src/more.rs"]
    assert structure.of_a_send(tree, files) == (2, 3, 18, 12)


def test_cycles_and_names_defined_twice_are_counted(tree: structure.Tree) -> None:
    assert structure.knots(tree) == [("x", ["lib", "more"])]
    assert structure.twice(type_places(tree.root)) == ["A"]
    assert class_places(tree.modules, tree.root) == {
        "K": ["python/ternmq/room/one.py:4", "python/ternmq/room/two.py:1"]
    }


def test_lines_are_counted_without_tests_and_code_without_prose(tree: structure.Tree) -> None:
    rust, python = structure.sizes(tree)
    assert sorted(rust) == [(0, 0, "python"), (6, 6, "sim"), (18, 12, "x")]
    assert sorted(python) == [(0, 0, "(top)"), (10, 4, "room")]


def test_the_longest_function_is_the_products(tree: structure.Tree) -> None:
    longest = structure.longest_functions(tree)
    assert longest[0] == (6, 4, "crates/x/src/lib.rs long")
    assert [size.name for size in structure.longest_files(tree)][:2] == [
        "crates/x/src/lib.rs",
        "python/ternmq/room/one.py",
    ]


def test_the_report_says_what_was_counted(tree: structure.Tree) -> None:
    text = "\n".join(structure.report(tree))
    assert "2 files, 3 types defined in them, 18 lines, 12 of code" in text
    assert "cycles: 1, of 2 files\n  x: lib, more\n" in text
    assert "Rust type names defined twice: 1 A\n" in text
    assert "product, lines: Rust 18, Python 10; 64 : 36" in text
