"""Java properties files; tests/conformance/test_java_properties.py reads many more, beside Java."""

from pathlib import Path

import pytest

from ternmq.config.properties import Entry, parse_properties, read_properties
from ternmq.errors import ConfigError


def parsed(text: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in parse_properties(text)}


def read(folder: Path, raw: bytes) -> dict[str, str]:
    path = folder / "file.conf"
    path.write_bytes(raw)
    return {entry.key: entry.value for entry in read_properties(path)}


def test_properties_are_read_as_java_reads_them() -> None:
    text = "# c\n! c\na=1\n b : 2 \nc 3\nd=x\\\n   y\ne=\\u00e9\\tz\nf=C:\\\\x\ng\na=4\n"
    assert parsed(text) == {"a": "4", "b": "2 ", "c": "3", "d": "xy", "e": "é\tz", "f": "C:\\x", "g": ""}


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a=1\x0bb=2", {"a": "1\x0bb=2"}),
        ("a=1\x85b=2\u2028c=3", {"a": "1\x85b=2\u2028c=3"}),
        ("\xa0a=1", {"\xa0a": "1"}),
        ("a\x1cb", {"a\x1cb": ""}),
        ("a=1\rb=2\r\nc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=\\\n# no comment", {"a": "# no comment"}),
        ("# a comment does not go on \\\na=1", {"a": "1"}),
        ("a=1\\\n\nb=2", {"a": "1", "b": "2"}),
        ("a\\=b\\:c\\ d=1", {"a=b:c d": "1"}),
        ("a = = 1", {"a": "= 1"}),
        ("a:=1", {"a": "=1"}),
        ("a=\\uD83D\\uDE00", {"a": "😀"}),
        ("a=1\\", {"a": "1"}),
    ],
)
def test_only_javas_blanks_and_line_ends_count(text: str, entries: dict[str, str]) -> None:
    assert parsed(text) == entries


def test_an_entry_knows_the_line_that_it_begins_in() -> None:
    assert parse_properties("# c\n\na=1\\\n2\nb=3\n") == [Entry("a", "12", 3), Entry("b", "3", 5)]


def test_a_malformed_escape_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"file\.conf:2: \\use.* is no character.*write a backslash itself twice"):
        read(tmp_path, b"a=1\nstorePathRootDir=C:\\users\\store\n")


def test_a_file_that_is_not_utf_8_is_latin_1_so_that_a_comment_stops_nobody(tmp_path: Path) -> None:
    chinese = "# 存储路径\nbrokerName=a\n".encode("gbk")
    assert read(tmp_path, chinese) == {"brokerName": "a"}
    assert read(tmp_path, b"a=caf\xe9\n") == {"a": "café"}
    assert read(tmp_path, "a=café\n".encode()) == {"a": "café"}


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfbrokerName=a\n") == {"brokerName": "a"}


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        read(tmp_path, "brokerName=a\n".encode("utf-16"))
