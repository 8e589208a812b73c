"""How sources are read as text."""

from pathlib import Path

import pytest
from scripts.sources.graphs import cycles
from scripts.sources.layers import draw, misplaced, upward
from scripts.sources.python import imports_of, package
from scripts.sources.rust import Crate, Import
from scripts.sources.tokens import makers_in, tokens_of, types_in, without_tests


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def crate(folder: Path, files: dict[str, str]) -> Crate:
    manifest = (
        '[package]\nname = "tern-x"\n[dependencies]\ntern-y.workspace = true\nbytes = "1"\n'
        "tern-z = { workspace = true, optional = true }\n"
    )
    return Crate(written(folder, {"Cargo.toml": manifest} | {f"src/{name}": text for name, text in files.items()}))


def arrows(one: Crate) -> set[tuple[str, str]]:
    return {(found.source, found.target) for found in one.imports()}


@pytest.mark.parametrize(
    "text",
    [
        "use crate::b::B;",
        "use crate::{b::{B}, b};",
        "use super::b::B as C;",
        "pub(crate) use self::super::b::B;",
        "fn f() { crate::b::f(); }",
        "use crate::b; fn f() -> b::B {}",
        "mod inner { use super::super::b::B; }",
        "use crate::B;",
        "fn f(x: super::B) {}",
        "use crate::*;",
        'fn f() { let _ = ("//", \'"\', b\'{\', r#"x"y"#); crate::b::f(); }',
    ],
)
def test_an_import_is_seen_in_every_form(tmp_path: Path, text: str) -> None:
    lib = "mod a;\nmod b;\npub use b::B;\n"
    one = crate(tmp_path, {"lib.rs": lib, "a.rs": text + "struct A;", "b.rs": "pub struct B;"})
    assert ("a", "b") in arrows(one)


@pytest.mark.parametrize(
    "text",
    [
        "// use crate::b::B;",
        '/* use crate::b::B; */ const X: &str = "crate::b::B";',
        "#[cfg(test)]\nmod tests { use crate::b::B; }",
        "#[cfg(test)]\n#[allow(x)]\nuse crate::b::{B, C};",
        "#[cfg(all(test, unix))]\nfn f<A, B>(a: [u8; 3]) -> A { crate::b::f() }",
        "#[cfg(test)]\nconst X: [u8; 2] = { crate::b::X };\n",
        "use bytes::b::B;",
    ],
)
def test_comments_texts_and_tests_import_nothing(tmp_path: Path, text: str) -> None:
    one = crate(tmp_path, {"lib.rs": "mod a; mod b;", "a.rs": text + "\nstruct Kept;", "b.rs": "pub struct B;"})
    assert arrows(one) == set()
    assert "Kept" in [token.text for token in one.files[1].tokens]


def test_an_import_through_a_facade_ends_where_the_name_is_defined(tmp_path: Path) -> None:
    files = {
        "lib.rs": "mod a; mod folder;",
        "a.rs": "use crate::folder::Deep; fn f() { crate::folder::low::g(); }",
        "folder/mod.rs": "//! Doc.\nmod high;\npub mod low;\npub use high::Deep;\n",
        "folder/high.rs": "use super::low::Low; pub struct Deep;",
        "folder/low.rs": "pub struct Low;",
    }
    one = crate(tmp_path, files)
    assert arrows(one) == {("a", "folder.high"), ("a", "folder.low"), ("folder.high", "folder.low")}


def test_a_parent_with_code_is_a_module_of_its_own(tmp_path: Path) -> None:
    files = {
        "lib.rs": "mod folder;",
        "folder.rs": "mod inner; use inner::Inner; struct Outer(Inner);",
        "folder/inner.rs": "use super::Outer; pub struct Inner;",
    }
    assert cycles(arrows(crate(tmp_path, files))) == [["folder", "folder.inner"]]


def test_a_cycle_is_every_file_on_it_and_no_other() -> None:
    assert cycles([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("c", "e"), ("f", "g"), ("g", "f")]) == [
        ["a", "b", "c"],
        ["f", "g"],
    ]
    assert cycles([("a", "b"), ("b", "c"), ("a", "c")]) == []


def test_dependencies_are_read_from_the_manifest_without_optional_ones(tmp_path: Path) -> None:
    assert crate(tmp_path, {"lib.rs": ""}).dependencies() == {"y", "bytes"}


def test_types_are_found_and_associated_types_are_not() -> None:
    text = """
        pub struct A<T>(T); pub(crate) enum B { X } trait C: Sized { type Out; } type D = u8;
        impl<T> C for A<T> { type Out = u8; }
        fn f(x: impl Fn()) -> impl Sized { struct E; }
        #[cfg(test)] mod tests { #[derive(Debug)] struct G; union H { a: u8 } }
        macro_rules! header { ($(#[$meta:meta])* $name:ident) => { $(#[$meta])* pub struct $name; } }
        header! { /// Doc.
            #[x] Made }
        // struct No;
    """
    tokens = tokens_of(text)
    found = [named.name for named in types_in(tokens, frozenset(makers_in(tokens)))]
    assert found == ["A", "B", "C", "D", "E", "G", "H", "Made"]


def test_the_lines_of_tests_are_known() -> None:
    text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n"
    kept, gone = without_tests(tokens_of(text))
    assert [token.text for token in kept if token.text in "abc"] == ["a", "c"]
    assert gone == {3, 4, 5, 6}


ORDER = {"root": ["top", "left | right", "low"], "low": ["self", "inner"]}
MODULES = ["top", "left", "right", "low", "low.inner"]


@pytest.mark.parametrize(
    ("source", "target", "is_refused"),
    [
        ("top", "low.inner", False),
        ("left", "low", False),
        ("low", "low.inner", False),
        ("low", "top", True),
        ("low.inner", "left", True),
        ("left", "right", True),
        ("low.inner", "low", True),
    ],
)
def test_an_import_upward_or_of_a_sibling_is_refused(source: str, target: str, is_refused: bool) -> None:
    assert bool(upward(ORDER, [Import(source, target, "x", 1)])) is is_refused


def test_a_module_that_stands_nowhere_twice_or_does_not_exist_is_named() -> None:
    assert misplaced(ORDER, MODULES) == []
    assert misplaced(ORDER, [*MODULES, "new", "left.child"]) == [
        "child stands nowhere in [left]",
        "new stands nowhere in [root]",
        "self stands nowhere in [left]",
    ]
    assert misplaced(ORDER, ["top", "left", "low", "low.inner"]) == ["right does not exist in [root]"]
    assert misplaced(ORDER | {"root": ["top", "left | right | top", "low"]}, MODULES) == ["top stands twice in [root]"]
    assert misplaced(ORDER | {"gone": []}, MODULES) == ["[gone] is no folder of modules"]


def test_a_drawn_order_refuses_nothing_that_is_imported() -> None:
    imports = [Import("top", "left", "x", 1), Import("left", "low.inner", "x", 1), Import("low", "low.inner", "x", 1)]
    order = draw(MODULES, imports)
    assert order == {"root": ["top", "left", "low | right"], "low": ["self", "inner"]}
    assert misplaced(order, MODULES) == upward(order, imports) == []


def test_a_python_import_is_seen_in_every_form_and_through_a_facade(tmp_path: Path) -> None:
    files = {
        "__init__.py": '"""Doc."""\n\nfrom p.a import A\n\n__all__ = ["A"]\n',
        "a.py": "class A: pass\n",
        "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import A\n",
        "c.py": "def f():\n    import p.b\n",
        "d.py": "from p import c\n",
    }
    modules = package(written(tmp_path / "p", files))
    found = {(one.source, one.target) for one in imports_of(modules)}
    assert found == {("p.b", "p.a"), ("p.c", "p.b"), ("p.d", "p.c")}
