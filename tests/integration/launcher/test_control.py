"""The socket between later commands and the supervisor."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from ternmq.cluster.control import ControlServer, Items, Report, ask
from ternmq.errors import LaunchError, NotRunningError

pytestmark = pytest.mark.asyncio


async def _handle(request: dict[str, Any], report: Report) -> Items:
    if request["command"] == "fail":
        raise LaunchError("there is no node ns9", "nodes here: ns1")
    report("working")
    return [{"asked": request["command"]}]


async def _ask(path: Path, command: str, said: list[str]) -> Items:
    return await asyncio.to_thread(ask, path, {"command": command}, report=said.append)


async def test_a_request_is_answered_with_progress_and_items(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", _handle)
    await server.open()
    said: list[str] = []
    try:
        assert await _ask(tmp_path / "control.sock", "ps", said) == [{"asked": "ps"}]
    finally:
        await server.close()
    assert said == ["working"]


async def test_a_refusal_arrives_with_its_hint(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", _handle)
    await server.open()
    try:
        with pytest.raises(LaunchError, match="no node ns9") as caught:
            await _ask(tmp_path / "control.sock", "fail", [])
    finally:
        await server.close()
    assert caught.value.hint == "nodes here: ns1"


async def test_only_the_owner_may_connect(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", _handle)
    await server.open()
    try:
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
    finally:
        await server.close()
    assert not (tmp_path / "control.sock").exists()


async def test_a_folder_with_a_long_name_is_reached_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    server = ControlServer(folder / "control.sock", _handle)
    await server.open()
    try:
        assert await _ask(folder / "control.sock", "ps", []) == [{"asked": "ps"}]
    finally:
        await server.close()


async def test_no_supervisor_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no cluster runs in"):
        await _ask(tmp_path / "control.sock", "ps", [])
    with pytest.raises(NotRunningError, match="no cluster runs in"):
        await _ask(tmp_path / "nowhere" / "control.sock", "ps", [])


async def test_a_socket_left_by_a_dead_supervisor_is_no_supervisor_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    first = ControlServer(path, _handle)
    await first.open()
    kept = path.with_suffix(".kept")
    path.rename(kept)
    await first.close()
    kept.rename(path)
    with pytest.raises(NotRunningError):
        await _ask(path, "ps", [])
    second = ControlServer(path, _handle)
    await second.open()
    try:
        assert await _ask(path, "ps", []) == [{"asked": "ps"}]
    finally:
        await second.close()


async def test_a_supervisor_that_ends_without_answer_is_named(tmp_path: Path) -> None:
    async def vanish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(vanish, tmp_path / "control.sock")
    try:
        with pytest.raises(LaunchError, match="ended before it answered"):
            await _ask(tmp_path / "control.sock", "ps", [])
    finally:
        server.close()


async def test_what_is_not_a_request_is_refused(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", _handle)
    await server.open()
    try:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
        writer.write(b"hello\n")
        assert b"not a request" in await reader.readline()
        writer.close()
    finally:
        await server.close()
