"""Requests of others: handed to their handlers, of which only so many run at once."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, NamedTuple

from ternmq.errors import MQError

_log = logging.getLogger(__name__)

SYSTEM_ERROR = 1
SYSTEM_BUSY = 2
NOT_SUPPORTED = 3


class Request(NamedTuple):
    """A request as the engine has decoded and bounded it.

    Args:
        code: request code.
        version: the peer's version ordinal.
        language: the peer's language ordinal.
        oneway: nobody waits for an answer.
        peer: ``host:port`` of the peer; for a request that a server pushed, the server's address.
        connection_id: names the connection until it closes; 0 for a push.
        fields: header fields.
        body: body.
    """

    code: int
    version: int
    language: int
    oneway: bool
    peer: str
    connection_id: int
    fields: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What a handler answers.

    Args:
        code: response code; 0 is success.
        remark: a sentence for people.
        fields: header fields of the response.
        body: its body.
    """

    code: int = 0
    remark: str | None = None
    fields: dict[str, str] | None = None
    body: bytes = b""


Handler = Callable[[Request], Reply] | Callable[[Request], Awaitable[Reply]]
"""Answers one request: a plain function that returns at once, or a coroutine function."""


class Dispatcher:
    """Hands requests to their handlers; plain functions run at once, coroutines within two bounds.

    Args:
        handlers: request code to handler.
        answer: takes a request id and the reply; with id 0, a one-way request, it does nothing.
        max_running: coroutine handlers that run at the same time.
        max_waiting: requests that wait for one of these places; one more is refused with code 2.
    """

    def __init__(
        self,
        handlers: Mapping[int, Handler],
        answer: Callable[[int, Reply], None],
        *,
        max_running: int,
        max_waiting: int,
    ) -> None:
        self._plain: dict[int, Callable[[Request], Any]] = {}
        self._slow: dict[int, Callable[[Request], Any]] = {}
        for code, handler in handlers.items():
            (self._slow if inspect.iscoroutinefunction(handler) else self._plain)[code] = handler
        self._answer = answer
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[int, Request, Callable[[Request], Any]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def dispatch(self, request_id: int, request: Request) -> None:
        """Run the request's handler, now or as soon as there is a place; unknown codes get 3."""
        plain = self._plain.get(request.code)
        if plain is not None:
            self._answer(request_id, _run_plain(plain, request))
            return
        slow = self._slow.get(request.code)
        if slow is None:
            self._answer(request_id, Reply(NOT_SUPPORTED, f" request type {request.code} not supported"))
        elif len(self._running) < self._max_running:
            self._launch(request_id, request, slow)
        elif len(self._waiting) < self._max_waiting:
            self._waiting.append((request_id, request, slow))
        else:
            limits = f"{self._max_running} requests run and {self._max_waiting} wait"
            self._answer(
                request_id, Reply(SYSTEM_BUSY, f"[OVERLOAD]system busy, start flow control for a while: {limits}")
            )

    async def close(self) -> None:
        """Forget what waits, cancel what runs, and wait for it."""
        self._waiting.clear()
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _launch(self, request_id: int, request: Request, handler: Callable[[Request], Any]) -> None:
        task = asyncio.ensure_future(self._run(request_id, request, handler(request)))
        self._running.add(task)
        task.add_done_callback(self._finished)

    async def _run(self, request_id: int, request: Request, work: Coroutine[Any, Any, Reply]) -> None:
        try:
            reply = await work
        except Exception as error:
            reply = _failed(request, error)
        self._answer(request_id, reply)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting and not task.cancelled():
            self._launch(*self._waiting.popleft())


def _run_plain(handler: Callable[[Request], Any], request: Request) -> Reply:
    try:
        reply: Reply = handler(request)
    except Exception as error:
        return _failed(request, error)
    return reply


def _failed(request: Request, error: Exception) -> Reply:
    """Answer for a handler that raised: its own code if it has one, else 1 as RocketMQ does."""
    if isinstance(error, MQError) and error.code is not None:
        return Reply(error.code, error.remark or str(error))
    _log.error("handler of request %d from %s failed", request.code, request.peer, exc_info=error)
    return Reply(SYSTEM_ERROR, f"{type(error).__name__}: {error}")
