"""What the engine has to say, as records of Python's logging.

A thread of the engine leaves a line and goes on; it never waits for the interpreter. A thread here, which sleeps until
there is something, hands the lines to their loggers, ``ternmq.net`` and ``ternmq.broker``. It belongs to no event loop:
a loop may be busy, closed, or not run yet. No logging is configured here; that is the program's.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import sys
import threading
from collections.abc import Callable

from ternmq import _core

_JOIN_SECONDS = 2.0
"""A handler of the program may hang: its end does not wait for it."""


Lines = list[tuple[str, int, str]]
"""Name of the logger, level, text."""


class Journal:
    """The reader of what the engine says in this process; there is one, as each takes the signal from the one before.

    Args:
        open_signal: gives a file descriptor that is readable while lines wait.
        take: takes all lines, and how many were dropped.
    """

    def __init__(self, open_signal: Callable[[], int], take: Callable[[], tuple[Lines, int]]) -> None:
        self._open_signal = open_signal
        self._take = take
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._signal = -1
        self._stopped = False

    def start(self) -> None:
        """Read from now on, and what was said before; does nothing if it reads already, or the process ends."""
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            self._signal = self._open_signal()
            self._thread = threading.Thread(target=self._read, name="ternmq-journal", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Hand on what was said, and read no more: the interpreter ends, and threads must not wake up meanwhile."""
        with self._lock:
            thread, self._stopped = self._thread, True
        if thread is None or not thread.is_alive():
            return
        os.eventfd_write(self._signal, 1)
        thread.join(_JOIN_SECONDS)

    def begin_again(self) -> None:
        """Start anew in a child process: thread and descriptor are the parent's, and so is what was said so far."""
        self._lock = threading.Lock()  # the old one may be held by a thread that does not exist here
        if self._thread is not None:
            self._thread = None
            self._take()
            self.start()

    def _read(self) -> None:
        ready = select.poll()
        ready.register(self._signal, select.POLLIN)
        while True:
            ready.poll()
            stopped = self._stopped  # before the last look, so that it misses nothing
            deliver(*self._take())
            if stopped:
                return


def deliver(records: Lines, dropped: int) -> None:
    """Hand records to their loggers.

    Args:
        records: name of the logger, level, text.
        dropped: how many more there were, for which the journal had no room.
    """
    if dropped:
        more = "ternmq.net", logging.WARNING, f"{dropped} log records of the engine were dropped, too many waited"
        records = [*records, more]
    for name, level, text in records:
        try:
            logging.getLogger(name).log(level, "%s", text)
        except Exception:  # a filter of the program's: told as an error of any thread, and the next record counts
            threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()]))


_journal = Journal(_core.open_journal, _core.take_journal)
start = _journal.start
atexit.register(_journal.stop)
os.register_at_fork(after_in_child=_journal.begin_again)
