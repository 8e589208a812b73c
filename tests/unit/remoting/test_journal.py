"""What the engine said becomes records: names, levels, and what had no room."""

import contextlib
import logging
import os
import threading

import pytest

from support.processes import wait_for
from ternmq.remoting.journal import Journal, Lines, deliver


def test_each_line_is_a_record_of_its_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ternmq")
    deliver([("ternmq.net", 30, "100 % of a peer's %s"), ("ternmq.broker", 50, "this replica stops")], 0)
    assert caplog.record_tuples == [
        ("ternmq.net", logging.WARNING, "100 % of a peer's %s"),
        ("ternmq.broker", logging.CRITICAL, "this replica stops"),
    ]


def test_what_had_no_room_is_said(caplog: pytest.LogCaptureFixture) -> None:
    deliver([], 7)
    assert caplog.record_tuples == [
        ("ternmq.net", logging.WARNING, "7 log records of the engine were dropped, too many waited")
    ]


def test_a_filter_that_fails_costs_one_record_and_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail_once(record: logging.LogRecord) -> bool:
        if record.getMessage() == "first":
            raise ValueError("a filter of the program")
        return True

    net = logging.getLogger("ternmq.net")
    net.addFilter(fail_once)
    try:
        deliver([("ternmq.net", 30, "first"), ("ternmq.net", 30, "second")], 0)
    finally:
        net.removeFilter(fail_once)
    assert caplog.messages == ["second"]
    assert [args.exc_type for args in told] == [ValueError]


def test_it_reads_in_one_thread_what_was_said_and_ends_with_the_last_of_it(caplog: pytest.LogCaptureFixture) -> None:
    signal = os.eventfd(0, os.EFD_NONBLOCK)
    waiting: list[str] = ["early"]

    def take() -> tuple[Lines, int]:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(signal)
        lines: Lines = [("ternmq.net", 30, text) for text in waiting]
        waiting.clear()
        return lines, 0

    def readers() -> int:
        return sum(thread.name == "ternmq-journal" for thread in threading.enumerate())

    before = readers()
    journal = Journal(lambda: signal, take)
    journal.start()
    journal.start()
    assert readers() == before + 1
    os.eventfd_write(signal, 1)
    wait_for(lambda: caplog.messages == ["early"], 10, "the first line")
    waiting.append("late")
    journal.stop()
    assert caplog.messages == ["early", "late"]
    assert readers() == before
    journal.start()  # the interpreter ends: no thread may begin
    assert readers() == before
    os.close(signal)
