"""How later commands reach the supervisor of a local cluster: a unix socket that carries JSON lines.

A request is one line, ``{"command": "start", "nodes": ["group-a/n0"]}``. The answer is any number of lines
``{"progress": "…"}`` and then one with ``{"ok": true, "items": […]}`` or ``{"ok": false, "error": "…", "hint": "…"}``.
Only the owner of the folder may connect (mode 0600). The asking side is plain and synchronous: a command that only
wants one answer need not load an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from ternmq.errors import LaunchError, NotRunningError

_LONGEST_LINE = 1 << 20
# The system's limit for a socket path, with room for its end.
_LONGEST_PATH = 100

_READ_LOG = "read its log, `logs/supervisor.log` in that folder"

Report = Callable[[str], None]
Items = list[dict[str, Any]]
Handler = Callable[[dict[str, Any], Report], Awaitable[Items]]


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """Give an address for a socket whose path may be longer than the system allows."""
    if len(os.fsencode(path)) <= _LONGEST_PATH or sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlServer:
    """The supervisor's end.

    Args:
        path: the socket.
        handle: does what a request asks, may report progress, returns the items of the answer.
    """

    def __init__(self, path: Path, handle: Handler) -> None:
        self._path = path
        self._handle = handle
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. A socket left by a supervisor that died is replaced: the caller holds the folder's lock."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous = os.umask(0o177)
        try:
            with _reachable(self._path) as address:
                listener.bind(address)
        finally:
            os.umask(previous)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST_LINE)

    async def close(self) -> None:
        """Stop listening and remove the socket; a request being answered still gets its last line."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(line: dict[str, Any]) -> None:
            writer.write(json.dumps(line).encode() + b"\n")

        try:
            request = json.loads(await reader.readline())
            items = await self._handle(request, lambda text: send({"progress": text}))
            send({"ok": True, "items": items})
        except LaunchError as error:
            send({"ok": False, "error": str(error), "hint": error.hint})
        except ValueError as error:
            send({"ok": False, "error": f"not a request: {error}", "hint": None})
        finally:
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()


def ask(path: Path, request: dict[str, Any], *, report: Report, timeout_s: float = 90.0) -> Items:
    """Send one request to the supervisor and wait for its answer.

    Args:
        path: its socket.
        request: with ``command`` and that command's arguments.
        report: receives progress.
        timeout_s: longest silence between two lines.

    Raises:
        NotRunningError: nothing listens there.
        LaunchError: it fell silent, or it says that what was asked cannot be done.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            with _reachable(path) as address:
                connection.connect(address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return _read_answer(connection, report)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise NotRunningError(f"no cluster runs in {path.parent}", "start one with `ternmq up`") from error
        except ConnectionError as error:
            raise LaunchError(f"the supervisor in {path.parent} ended before it answered", _READ_LOG) from error
        except TimeoutError as error:
            raise LaunchError(
                f"the supervisor in {path.parent} has been silent for {timeout_s:g} s",
                _READ_LOG,
            ) from error


def _read_answer(connection: socket.socket, report: Report) -> Items:
    with connection.makefile("rb") as lines:
        for raw in lines:
            line = json.loads(raw)
            if "progress" in line:
                report(str(line["progress"]))
            elif line["ok"]:
                items: Items = line["items"]
                return items
            else:
                raise LaunchError(line["error"], line.get("hint"))
    raise LaunchError("the supervisor ended before it answered", _READ_LOG)
