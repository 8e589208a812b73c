"""Lines from a descriptor as they come, without keeping the event loop or the end of the program waiting."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator

_CHUNK_BYTES = 1 << 16
_CHUNKS_AHEAD = 4


async def read_lines(descriptor: int, stop: asyncio.Event | None = None) -> AsyncIterator[list[bytes]]:
    """Read lines, in lists of those that arrived together; the last one may lack its line end.

    A thread of its own reads, since a regular file cannot be watched by the loop. It is a daemon and reads the bare
    descriptor: one that waits for a person to type must not hold up Ctrl-C.

    Args:
        descriptor: open for reading.
        stop: ends the lines when it is set, after those that have been read; one that has not ended yet is dropped.

    Raises:
        OSError: reading failed.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError | None] = asyncio.Queue()
    room = threading.Semaphore(_CHUNKS_AHEAD)

    def pump() -> None:
        while True:
            room.acquire()
            if stop is not None and stop.is_set():
                return
            chunk: bytes | OSError
            try:
                chunk = os.read(descriptor, _CHUNK_BYTES)
            except OSError as error:
                chunk = error
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:
                return  # the loop has ended meanwhile
            if not chunk or isinstance(chunk, OSError):
                return

    async def end() -> None:
        if stop is not None:
            await stop.wait()
            chunks.put_nowait(None)

    threading.Thread(target=pump, name="lines", daemon=True).start()
    ending = asyncio.create_task(end())
    rest = b""
    try:
        while chunk := await chunks.get():
            if isinstance(chunk, OSError):
                raise chunk
            room.release()
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                yield lines
        if rest and chunk is not None:
            yield [rest]
    finally:
        ending.cancel()
