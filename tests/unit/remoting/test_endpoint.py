"""The asyncio face of the transport, over one that only records."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ternmq.errors import (
    BrokerBusyError,
    CallTimeoutError,
    ClientClosedError,
    ConnectionLostError,
    MQError,
    NotFoundError,
    UnreachableError,
)
from ternmq.remoting import Answer, Endpoint, Event, Reply, Request


class Recorder:
    """A transport that keeps what it is given, batch by batch."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.beats: list[Any] = []
        self.sends: list[tuple[int, list[Any]]] = []
        self.oneways: list[list[Any]] = []
        self.answers: list[list[Any]] = []
        self.closed = False
        self._signal = os.eventfd(0, os.EFD_NONBLOCK)
        self._events: list[Event] = []

    def fileno(self) -> int:
        return self._signal

    def drain(self) -> list[Event]:
        events, self._events = self._events, []
        os.eventfd_read(self._signal)
        return events

    def happen(self, *events: Event) -> None:
        self._events += events
        os.eventfd_write(self._signal, 1)

    def listen(self, host: str, port: int) -> int:
        return port or 4711

    def call(self, calls: list[Any]) -> None:
        self.calls.append(calls)

    def send(self, sender: int, sends: list[Any]) -> list[str | None]:
        self.sends.append((sender, sends))
        return [None] * len(sends)

    def oneway(self, calls: list[Any]) -> None:
        self.oneways.append(calls)

    def beat(self, version: int, code: int, body: bytes, addresses: list[str], **times: int) -> None:
        self.beats.append((version, code, body, addresses, times))

    def answer(self, answers: list[Any]) -> None:
        self.answers.append(answers)

    def disconnect(self, address: str) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        os.close(self._signal)


Scenario = Callable[[Recorder, Endpoint], Awaitable[None]]


def _run(scenario: Scenario) -> None:
    async def main() -> None:
        recorder = Recorder()
        endpoint = Endpoint(recorder)
        try:
            await scenario(recorder, endpoint)
        finally:
            await endpoint.close()

    asyncio.run(main())


async def _turns() -> None:
    """Let what is ready happen."""
    for _ in range(5):
        await asyncio.sleep(0)


def _request(request_id: int, code: int = 28, *, oneway: bool = False) -> Event:
    return (0, request_id, 5, "c:1", code, 513, 12, oneway, {"k": "v"}, b"body")


def test_calls_of_one_turn_cross_together() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        calls = [asyncio.ensure_future(endpoint.call("a:1", number, timeout=1.5)) for number in range(3)]
        endpoint.oneway("a:1", 34)
        await _turns()
        (batch,) = recorder.calls
        assert [(address, code, timeout) for _, address, code, _, _, timeout in batch] == [
            ("a:1", 0, 1500), ("a:1", 1, 1500), ("a:1", 2, 1500),
        ]  # fmt: skip
        assert recorder.oneways == [[("a:1", 34, {}, b"")]]
        recorder.happen(*((1, call[0], 7, 513, "r", {"f": str(call[2])}, b"b") for call in reversed(batch)))
        answers = await asyncio.gather(*calls)
        assert [(answer.code, answer.fields) for answer in answers] == [(7, {"f": str(number)}) for number in range(3)]

    _run(scenario)


@pytest.mark.parametrize(
    ("reason", "error"),
    [(0, UnreachableError), (1, CallTimeoutError), (2, ConnectionLostError), (3, BrokerBusyError)],
)
def test_each_failure_has_its_error_with_the_address(reason: int, error: type[Exception]) -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        call = asyncio.ensure_future(endpoint.call("a:1", 11))
        await _turns()
        recorder.happen((2, recorder.calls[0][0][0], reason, "because"))
        with pytest.raises(error, match="a:1"):
            await call

    _run(scenario)


def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        call = asyncio.ensure_future(endpoint.call("a:1", 11))
        await _turns()
        call.cancel()
        call_id = recorder.calls[0][0][0]
        recorder.happen(
            (1, call_id, 0, 513, None, {}, b""), (1, call_id, 0, 513, None, {}, b""), (1, 999, 0, 0, "", {}, b"")
        )
        await _turns()
        assert call.cancelled()

    _run(scenario)


def test_one_bad_callback_does_not_cost_the_other_events() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        endpoint.start_call("a:1", 1, {}, b"", 1000, lambda _: 1 / 0)  # type: ignore[arg-type]
        call = asyncio.ensure_future(endpoint.call("a:1", 2))
        await _turns()
        recorder.happen(*((1, each[0], 0, 513, None, {}, b"") for batch in recorder.calls for each in batch))
        assert (await call).code == 0
        assert isinstance(reported[0]["exception"], ZeroDivisionError)

    _run(scenario)


def test_a_batch_that_the_engine_cannot_read_fails_instead_of_waiting_for_ever() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        recorder.call = lambda _: 1 / 0  # type: ignore[assignment, method-assign]
        with pytest.raises(MQError, match="a:1"):
            await endpoint.call("a:1", 1)
        assert isinstance(reported[0]["exception"], ZeroDivisionError)

    _run(scenario)


def test_closing_fails_what_waits_and_refuses_what_comes() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        call = asyncio.ensure_future(endpoint.call("a:1", 1))
        await _turns()
        await endpoint.close()
        assert recorder.closed
        with pytest.raises(ClientClosedError):
            await call
        with pytest.raises(ClientClosedError):
            await endpoint.call("a:1", 1)
        with pytest.raises(ClientClosedError):
            endpoint.oneway("a:1", 1)

    _run(scenario)


def test_requests_are_answered_by_their_route_in_one_crossing() -> None:
    async def slow(request: Request) -> Reply:
        await asyncio.sleep(0)
        return Reply(fields={"peer": request.peer})

    def plain(request: Request) -> Reply:
        return Reply(5, "no", {"k": request.fields["k"]}, request.body)

    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        assert endpoint.serve("h", 0, {1: plain, 2: slow}) == 4711
        recorder.happen(_request(11, 1), _request(12, 1), _request(13, 2), _request(14, 99))
        await _turns()
        answers = [answer for batch in recorder.answers for answer in batch]
        assert sorted(answers) == [
            (11, 5, "no", {"k": "v"}, b"body"),
            (12, 5, "no", {"k": "v"}, b"body"),
            (13, 0, None, {"peer": "c:1"}, b""),
            (14, 3, " request type 99 not supported", None, b""),
        ]
        assert len(recorder.answers[0]) == 3, "those that are ready together cross together"

    _run(scenario)


def test_a_handler_that_raises_is_answered_with_its_code_or_with_1() -> None:
    def typed(_: Request) -> Reply:
        raise NotFoundError("nothing there", code=22)

    async def plain(_: Request) -> Reply:
        raise KeyError("x")

    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        endpoint.answer_requests({1: typed, 2: plain})
        recorder.happen(_request(11, 1), _request(12, 2))
        await _turns()
        answers = sorted(answer for batch in recorder.answers for answer in batch)
        assert answers == [(11, 22, "nothing there", None, b""), (12, 1, "KeyError: 'x'", None, b"")]

    _run(scenario)


def test_one_way_requests_are_handled_and_never_answered() -> None:
    seen = []

    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        def note(request: Request) -> Reply:
            seen.append(request.oneway)
            return Reply()

        endpoint.answer_requests({1: note})
        recorder.happen(_request(0, 1, oneway=True), _request(0, 2, oneway=True))
        await _turns()
        assert seen == [True]
        assert recorder.answers == []

    _run(scenario)


def test_only_so_many_handlers_run_and_wait_and_the_refusal_names_the_limits() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        gate = asyncio.Event()
        running: list[int] = []

        async def slow(request: Request) -> Reply:
            running.append(int(request.fields["k"]))
            await gate.wait()
            return Reply()

        endpoint.answer_requests({1: slow}, max_running=2, max_waiting=1)
        recorder.happen(*((0, 10 + n, 5, "c:1", 1, 513, 12, False, {"k": str(n)}, b"") for n in range(5)))
        await _turns()
        assert running == [0, 1]
        refused = recorder.answers[0]
        assert [answer[:2] for answer in refused] == [(13, 2), (14, 2)]
        assert "2 requests run and 1 wait" in refused[0][2]
        gate.set()
        await _turns()
        await _turns()
        assert running == [0, 1, 2]

    _run(scenario)


def test_closed_connections_pushes_and_other_events_reach_those_who_asked() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        seen: list[object] = []
        endpoint.answer_requests({}, on_closed=lambda number, peer: seen.append((number, peer)))
        endpoint.on_disconnected(seen.append)
        endpoint.on_push(40, lambda push: seen.append(push.fields["consumerGroup"]))
        endpoint.on_event(10, seen.append)
        recorder.happen(
            (3, 5, "c:1"), (4, "b:1"), (5, 0, "b:1", 40, 513, {"consumerGroup": "g"}, b""), (10, "leader", 3, "n0"),
            (11, 1, 2), (5, 77, "b:1", 307, 513, {}, b""),
        )  # fmt: skip
        await _turns()
        assert seen == [(5, "c:1"), "b:1", "g", (10, "leader", 3, "n0")]
        assert recorder.answers == [[(77, 3, " request type 307 not supported", None, b"")]]

    _run(scenario)


def test_a_heartbeat_is_handed_over_in_milliseconds_and_its_first_outcome_comes_back() -> None:
    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        seen: list[object] = []
        endpoint.beat(
            3, 34, b"beat", ["a:1"], interval=30.0, retry=1.0, timeout=0.5, on_beaten=lambda *told: seen.append(told)
        )
        assert recorder.beats == [
            (3, 34, b"beat", ["a:1"], {"interval_ms": 30_000, "retry_ms": 1000, "timeout_ms": 500})
        ]
        recorder.happen((9, 3, "a:1", True))
        await _turns()
        assert seen == [(3, "a:1", True)]

    _run(scenario)


def test_the_outcomes_of_sends_reach_their_sender_and_nobody_after_it_has_left() -> None:
    class Taker:
        def __init__(self) -> None:
            self.seen: list[object] = []

        def stored(self, places: list[tuple[int, int, int]]) -> None:
            self.seen.append(places)

        def answered(self, call_id: int, answer: Answer) -> None:
            self.seen.append((call_id, answer.code, answer.remark))

        def failed(self, call_id: int, reason: int, text: str) -> None:
            self.seen.append((call_id, reason, text))

    async def scenario(recorder: Recorder, endpoint: Endpoint) -> None:
        one, other = Taker(), Taker()
        numbers = endpoint.add_sender(one), endpoint.add_sender(other)
        recorder.happen(
            (6, numbers[0], [(1, 0, 5), (2, 0, 6)]), (7, numbers[1], 1, 14, 513, "r", {}, b""),
            (8, numbers[0], 3, 2, "lost"),
        )  # fmt: skip
        await _turns()
        endpoint.remove_sender(numbers[0])
        recorder.happen((6, numbers[0], [(4, 0, 7)]), (8, numbers[0], 5, 2, "lost"))
        await _turns()
        assert one.seen == [[(1, 0, 5), (2, 0, 6)], (3, 2, "lost")]
        assert other.seen == [(1, 14, "r")]

    _run(scenario)
