"""Properties files are read as Java reads them, over many small files that are mostly separators and escapes."""

import random
from pathlib import Path

from support import maven
from support.apache_configuration import java_properties
from ternmq.config.properties import read_properties
from ternmq.errors import ConfigError

FILES = 5_000
SEED = 1
PIECES = [
    "\\", "\\\\", "\n", "\r", "\r\n", "\\\n", "\\\r\n", "=", ":", " ", "\t", "\f", "#", "!", "a", "b", "key", "\\u0041",
    "\\u00e9", "\\uD83D\\uDE00", "\\u00", "\\u", "\\t", "\\n", "\\:", "\\=", "\\ ", "\\#", "\\q", "\v", "\x1c", "\\\n#",
    "\\\n\n", "brokerName=a\n",
]  # fmt: skip
# Bytes that are not UTF-8: Java takes every file for Latin-1. 0x85 and 0xA0 are ends of a line or blanks for others.
NOT_UTF8 = ["\x85", "\xa0", "\xe9", "\xff", "\xb4\xf3"]


def read(path: Path, file: bytes) -> dict[str, str] | None:
    path.write_bytes(file)
    try:
        return {entry.key: entry.value for entry in read_properties(path)}
    except ConfigError:
        return None


def files(count: int, seed: int) -> list[bytes]:
    choose = random.Random(seed)
    made = []
    for _ in range(count):
        text = "".join(choose.choice(PIECES) for _ in range(choose.randrange(12)))
        if choose.random() < 0.2:
            text += choose.choice(NOT_UTF8) + choose.choice(PIECES)
        made.append(text.encode("latin-1"))
    return made


def test_properties_are_read_as_java_reads_them_over_many_small_files(tmp_path: Path) -> None:
    maven.require_java()
    inputs = files(FILES, SEED)
    theirs = java_properties(inputs)
    differing = [
        (file, ours, java)
        for file, java in zip(inputs, theirs, strict=True)
        if (ours := read(tmp_path / "file.conf", file)) != java
    ]
    assert differing[:5] == []
    assert sum(java is None for java in theirs) > FILES // 100, "few files with malformed escapes"
    assert sum(bool(java) for java in theirs) > FILES // 2, "most files have entries"
