"""The asyncio face of the engine's transport: calls out, requests in, one crossing per turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ternmq import _core
from ternmq.errors import ClientClosedError, ForeignLoopError, ForkedClientError, MQError
from ternmq.remoting.calls import NO_FIELDS, Answer, Done, Outcome, failure
from ternmq.remoting.serving import Dispatcher, Handler, Reply, Request

_REQUEST = _core.EVENT_KINDS["REQUEST"]
_ANSWER = _core.EVENT_KINDS["ANSWER"]
_FAILED = _core.EVENT_KINDS["FAILED"]
_CLOSED = _core.EVENT_KINDS["CLOSED"]
_DISCONNECTED = _core.EVENT_KINDS["DISCONNECTED"]
_PUSH = _core.EVENT_KINDS["PUSH"]
_STORED = _core.EVENT_KINDS["STORED"]
_SEND_ANSWERED = _core.EVENT_KINDS["SEND_ANSWERED"]
_SEND_FAILED = _core.EVENT_KINDS["SEND_FAILED"]
_HEARTBEAT_OUTCOME = _core.EVENT_KINDS["HEARTBEAT_OUTCOME"]

Event = tuple[Any, ...]
StoredSend = tuple[int, int, int]
"""A send that was stored: its call id, queue id, queue offset."""
SendTuple = tuple[int, str, int, dict[str, str], int, int, str | None, str, bytes, int]
"""A send that crosses into the engine, as ``_core.Endpoint.send`` describes it."""


class Transport(Protocol):
    """What this module needs of ``_core.Endpoint``; tests put an in-memory network in its place."""

    def fileno(self) -> int:
        """File descriptor that is readable while events wait."""

    def drain(self) -> list[Event]:
        """Take all waiting events; never blocks."""

    def listen(self, host: str, port: int) -> int:
        """Accept connections; returns the bound port."""

    def call(self, calls: list[tuple[int, str, int, dict[str, str], bytes, int]]) -> None:
        """Start calls: (call id, address, code, fields, body, timeout in ms)."""

    def send(self, sender: int, sends: list[SendTuple]) -> list[str | None]:
        """Start sends; returns the message ids that were made."""

    def oneway(self, calls: list[tuple[str, int, dict[str, str], bytes]]) -> None:
        """Send requests that nobody answers: (address, code, fields, body)."""

    def beat(
        self,
        version: int,
        code: int,
        body: bytes,
        addresses: list[str],
        *,
        interval_ms: int,
        retry_ms: int,
        timeout_ms: int,
    ) -> None:
        """Keep sending a heartbeat, whatever the event loop does; ``_core.Endpoint.beat`` says more."""

    def answer(self, answers: list[tuple[int, int, str | None, dict[str, str] | None, bytes]]) -> None:
        """Answer requests: (request id, code, remark, fields, body)."""

    def disconnect(self, address: str) -> None:
        """Close the outgoing connection to an address."""

    def close(self) -> None:
        """Close everything; no event comes afterwards."""


class SendOutcomes(Protocol):
    """A sender of messages, which takes what becomes of them."""

    def stored(self, sends: list[StoredSend], /) -> None:
        """These were stored: as many as came together."""

    def answered(self, call_id: int, answer: Answer, /) -> None:
        """This one was answered in any other way."""

    def failed(self, call_id: int, reason: int, text: str, /) -> None:
        """This one has no answer; `failure` makes the exception of it."""


class Endpoint:
    """Both directions of the network for one event loop: calls to any address, and a server if asked.

    Calls and answers of one turn of the event loop cross into the engine together, by ``call_soon``; all waiting
    events come back in one go. A call costs no task and no timer here: the engine watches the deadline.

    Args:
        transport: the engine's endpoint, or a test's.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._forked = False
        self._last_call_id = 0
        self._senders: dict[int, SendOutcomes] = {}
        self._last_sender = 0
        self._calls: dict[int, tuple[str, int, Done]] = {}
        self._out_calls: list[tuple[int, str, int, dict[str, str], bytes, int]] = []
        self._out_oneway: list[tuple[str, int, dict[str, str], bytes]] = []
        self._out_answers: list[tuple[int, int, str | None, dict[str, str] | None, bytes]] = []
        self._flush_planned = False
        self._dispatcher: Dispatcher | None = None
        self._on_closed: Callable[[int, str], None] | None = None
        self._on_beaten: Callable[[int, str, bool], None] | None = None
        self._on_disconnected: list[Callable[[str], None]] = []
        self._pushes: dict[int, Callable[[Request], None]] = {}
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._loop.add_reader(transport.fileno(), self._drain)

    # -- calls out -----------------------------------------------------------------------------------------------

    def start_call(
        self, address: str, code: int, fields: dict[str, str], body: bytes, timeout_ms: int, done: Done
    ) -> None:
        """Send a request; `done` gets its outcome in a later turn, exactly once.

        Args:
            address: ``host:port``.
            code: request code.
            fields: header fields; must not change until the next turn of the loop.
            body: body.
            timeout_ms: from now until the call fails as timed out.
            done: takes an `Answer` or the exception of a failure.

        Raises:
            ClientClosedError: the endpoint is closed.
        """
        self._check_open()
        self._last_call_id = call_id = self._last_call_id + 1
        self._calls[call_id] = (address, code, done)
        self._out_calls.append((call_id, address, code, fields, body, timeout_ms))
        if not self._flush_planned:
            self._plan_flush()

    async def call(
        self,
        address: str,
        code: int,
        fields: dict[str, str] = NO_FIELDS,
        body: bytes = b"",
        timeout: float = 3.0,
    ) -> Answer:
        """Send a request and wait for its answer, whatever its code.

        Args:
            address: ``host:port``.
            code: request code.
            fields: header fields.
            body: body.
            timeout: seconds.

        Raises:
            UnreachableError: no connection; nothing was sent.
            CallTimeoutError: sent, not answered in time.
            ConnectionLostError: sent, and the connection closed.
            BrokerBusyError: refused in this process, too many calls wait; nothing was sent.
            ClientClosedError: the endpoint is closed.
            ForeignLoopError: called in another event loop than the endpoint's.
        """
        self._check_open()
        if asyncio.get_running_loop() is not self._loop:
            raise ForeignLoopError("the connections belong to another event loop; each loop opens its own")
        future: asyncio.Future[Answer] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if future.done():
                return  # the caller was cancelled
            if isinstance(outcome, Answer):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

        self.start_call(address, code, fields, body, max(1, round(timeout * 1000)), done)
        return await future

    def oneway(self, address: str, code: int, fields: dict[str, str] = NO_FIELDS, body: bytes = b"") -> None:
        """Send a request that nobody answers; whether it arrived is never known.

        Raises:
            ClientClosedError: the endpoint is closed.
        """
        self._check_open()
        self._out_oneway.append((address, code, fields, body))
        if not self._flush_planned:
            self._plan_flush()

    # -- sends ---------------------------------------------------------------------------------------------------

    def add_sender(self, outcomes: SendOutcomes) -> int:
        """Register a sender of messages; its number goes with each send."""
        self._last_sender += 1
        self._senders[self._last_sender] = outcomes
        return self._last_sender

    def remove_sender(self, number: int) -> None:
        """Forget a sender; answers to what it has sent are dropped from now on."""
        self._senders.pop(number, None)

    def send(self, sender: int, sends: list[SendTuple]) -> list[str | None]:
        """Send messages, all in one crossing; each has its outcome in a later turn, exactly once.

        Args:
            sender: number of the sender.
            sends: call id, chosen by the sender and not used again; address; request code; header fields but for e, g
                and i; queue id; time of birth; message id, None to have one made, empty for none; properties in their
                text form; body; milliseconds until the call fails as timed out.

        Returns:
            For each the message id that was made; None where there was none to make.

        Raises:
            ClientClosedError: the endpoint is closed.
        """
        self._check_open()
        return self.transport.send(sender, sends)

    def disconnect(self, address: str) -> None:
        """Close the connection to an address; its calls fail with `ConnectionLostError`."""
        if not self._closed:
            self.transport.disconnect(address)

    # -- heartbeats ----------------------------------------------------------------------------------------------

    def beat(
        self,
        version: int,
        code: int,
        body: bytes,
        addresses: list[str],
        *,
        interval: float,
        retry: float,
        timeout: float,
        on_beaten: Callable[[int, str, bool], None],
    ) -> None:
        """Have the engine send a heartbeat again and again, also while the event loop is busy.

        Args:
            version: from 1 on; a new one goes to all addresses at once.
            code: request code.
            body: of each heartbeat.
            addresses: where to; none ends it.
            interval: seconds from an answer to the next heartbeat; a lost connection is followed by one at once.
            retry: seconds from a failure to the next one.
            timeout: seconds that an answer may take.
            on_beaten: called with version, address and whether it was answered, for the first of a version.

        Raises:
            ClientClosedError: the endpoint is closed.
        """
        self._check_open()
        self._on_beaten = on_beaten
        times = {"interval_ms": interval, "retry_ms": retry, "timeout_ms": timeout}
        in_ms = {name: max(1, round(seconds * 1000)) for name, seconds in times.items()}
        self.transport.beat(version, code, body, addresses, **in_ms)

    # -- requests in ---------------------------------------------------------------------------------------------

    def serve(
        self,
        host: str,
        port: int,
        handlers: Mapping[int, Handler],
        on_closed: Callable[[int, str], None] | None = None,
        *,
        max_running: int = 256,
        max_waiting: int = 4096,
    ) -> int:
        """Listen, and answer requests by `handlers`.

        Args:
            host: address to listen on.
            port: 0 takes a free one.
            handlers: request code to handler, a plain function or a coroutine function.
            on_closed: takes connection id and peer of a connection that closed.
            max_running: coroutine handlers at the same time.
            max_waiting: requests that wait for one; more are refused with code 2.

        Returns:
            The bound port.

        Raises:
            OSError: the address cannot be bound.
        """
        self.answer_requests(handlers, on_closed, max_running=max_running, max_waiting=max_waiting)
        return self.transport.listen(host, port)

    def answer_requests(
        self,
        handlers: Mapping[int, Handler],
        on_closed: Callable[[int, str], None] | None = None,
        *,
        max_running: int = 256,
        max_waiting: int = 4096,
    ) -> None:
        """Answer requests that reach this endpoint by a listener that the engine holds itself; see `serve`."""
        self._dispatcher = Dispatcher(handlers, self._answer, max_running=max_running, max_waiting=max_waiting)
        self._on_closed = on_closed

    # -- what else happens ---------------------------------------------------------------------------------------

    def on_disconnected(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called with the address of every outgoing connection that closes."""
        self._on_disconnected.append(callback)

    def on_push(self, code: int, handler: Callable[[Request], None]) -> None:
        """Have `handler` called for requests with this code that servers send on our own connections."""
        self._pushes[code] = handler

    def on_event(self, kind: int, handler: Callable[[Event], None]) -> None:
        """Have `handler` called with events that belong to others on the same bridge (kinds from 10 on)."""
        self._listeners[kind] = handler

    async def close(self) -> None:
        """Send what waits, stop handlers, close all connections, fail all calls."""
        if self._closed:
            return
        if self._dispatcher is not None:
            await self._dispatcher.close()
        self._flush()
        self._closed = True
        self._loop.remove_reader(self.transport.fileno())
        self.transport.close()
        calls, self._calls = self._calls, {}
        for _, _, done in calls.values():
            done(ClientClosedError("closed while a request waited for its answer"))

    def abandon(self) -> None:
        """Refuse every use, in a child process: sockets, event loop and calls are the parent's."""
        self._closed = self._forked = True

    def _check_open(self) -> None:
        if self._forked:
            raise ForkedClientError("the connections belong to the parent process; a child opens its own")
        if self._closed:
            raise ClientClosedError("the connection pool is closed")

    # -- the crossing --------------------------------------------------------------------------------------------

    def _plan_flush(self) -> None:
        self._flush_planned = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if self._closed:
            return
        if self._out_calls:
            calls, self._out_calls = self._out_calls, []
            try:
                self.transport.call(calls)
            except Exception as error:
                self._fail_batch(calls, error)
        if self._out_oneway:
            oneway, self._out_oneway = self._out_oneway, []
            self.transport.oneway(oneway)
        if self._out_answers:
            answers, self._out_answers = self._out_answers, []
            self.transport.answer(answers)

    def _fail_batch(self, calls: list[tuple[int, str, int, dict[str, str], bytes, int]], error: Exception) -> None:
        """End calls that the engine cannot read, a mistake in this process: nobody would ever answer them."""
        self._loop.call_exception_handler({"message": "a batch of calls cannot be sent", "exception": error})
        for call_id, address, *_ in calls:
            call = self._calls.pop(call_id, None)
            if call is not None:
                call[2](MQError(f"not sent to {address}: {error}", broker=address))

    def _drain(self) -> None:
        for event in self.transport.drain():
            try:
                self._take(event)
            except Exception as error:
                # One bad callback must not cost the other events of the batch.
                self._loop.call_exception_handler({"message": "a network callback failed", "exception": error})

    def _take(self, event: Event) -> None:
        kind = event[0]
        if kind == _STORED:
            sender = self._senders.get(event[1])
            if sender is not None:
                sender.stored(event[2])
        elif kind == _ANSWER:
            _, call_id, code, version, remark, fields, body = event
            call = self._calls.pop(call_id, None)
            if call is not None:
                call[2](Answer(code, version, remark, fields, body))
        elif kind == _FAILED:
            _, call_id, reason, text = event
            call = self._calls.pop(call_id, None)
            if call is not None:
                address, code, done = call
                done(failure(reason, address, code, text))
        elif kind == _SEND_ANSWERED:
            _, number, call_id, code, version, remark, fields, body = event
            sender = self._senders.get(number)
            if sender is not None:
                sender.answered(call_id, Answer(code, version, remark, fields, body))
        elif kind == _SEND_FAILED:
            sender = self._senders.get(event[1])
            if sender is not None:
                sender.failed(*event[2:])
        elif kind == _HEARTBEAT_OUTCOME:
            if self._on_beaten is not None:
                self._on_beaten(*event[1:])
        elif kind == _REQUEST:
            self._take_request(event)
        elif kind == _PUSH:
            self._take_push(event)
        elif kind == _CLOSED:
            if self._on_closed is not None:
                self._on_closed(event[1], event[2])
        elif kind == _DISCONNECTED:
            for callback in self._on_disconnected:
                callback(event[1])
        elif kind in self._listeners:
            self._listeners[kind](event)

    def _take_request(self, event: Event) -> None:
        _, request_id, connection_id, peer, code, version, language, oneway, fields, body = event
        request = Request(code, version, language, oneway, peer, connection_id, fields, body)
        if self._dispatcher is None:
            self._answer(request_id, Reply(3, f" request type {code} not supported"))
        else:
            self._dispatcher.dispatch(0 if oneway else request_id, request)

    def _take_push(self, event: Event) -> None:
        _, request_id, address, code, version, fields, body = event
        handler = self._pushes.get(code)
        if handler is None:
            self._answer(request_id, Reply(3, f" request type {code} not supported"))
            return
        handler(Request(code, version, 0, request_id == 0, address, 0, fields, body))
        self._answer(request_id, Reply())

    def _answer(self, request_id: int, reply: Reply) -> None:
        if self._closed or request_id == 0:
            return
        self._out_answers.append((request_id, reply.code, reply.remark, reply.fields, reply.body))
        if not self._flush_planned:
            self._plan_flush()
