"""Lines that are read while the event loop goes on."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from ternmq.cli.input_lines import read_lines

pytestmark = pytest.mark.asyncio


async def _all(descriptor: int) -> list[bytes]:
    return [line async for lines in read_lines(descriptor) for line in lines]


async def test_a_file_is_read_line_by_line_with_or_without_a_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for text, expected in ((b"a\n\nb\n", [b"a", b"", b"b"]), (b"a\nb", [b"a", b"b"]), (b"", [])):
        path.write_bytes(text)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            assert await _all(descriptor) == expected
        finally:
            os.close(descriptor)


async def test_a_line_longer_than_a_read_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    long = b"x" * 300_000
    path.write_bytes(long + b"\n" + long)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert await _all(descriptor) == [long, long]
    finally:
        os.close(descriptor)


async def test_a_line_comes_before_the_input_ends() -> None:
    reading, writing = os.pipe()
    lines = read_lines(reading)
    try:
        os.write(writing, b"first\nsec")
        assert await asyncio.wait_for(anext(lines), 5) == [b"first"]
        os.write(writing, b"ond\n")
        assert await asyncio.wait_for(anext(lines), 5) == [b"second"]
        os.close(writing)
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(lines), 5)
    finally:
        os.close(reading)
