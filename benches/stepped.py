"""A load program that says what it has reached in JSON lines, and goes on when it is told to."""

import json
import select
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

Line = dict[str, Any]


class LoadFailedError(Exception):
    """The program ended, or was silent for too long; carries what it wrote beside its lines."""


class Stepped:
    """One run of a load program.

    Args:
        command: program and arguments.
    """

    def __init__(self, command: Sequence[object]) -> None:
        self.command = [str(word) for word in command]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed on exit
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def expect(self, event: str, within: float = 120.0) -> Line:
        """Wait for a line.

        Raises:
            LoadFailedError: it does not come.
        """
        assert self._process.stdout is not None
        guard = threading.Timer(within, self._process.kill)
        guard.start()
        try:
            for text in self._process.stdout:
                line: Line = json.loads(text)
                if line["event"] == event:
                    return line
        finally:
            guard.cancel()
        self._errors.seek(0)
        said = self._errors.read()[-2000:].decode(errors="replace")
        raise LoadFailedError(f"no line {event!r} within {within} s from {' '.join(self.command[-8:])}\n{said}")

    def has_said(self) -> bool:
        """Whether it has written a line that nobody has waited for."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def close_input(self) -> None:
        """Tell it that nothing more will be told."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def finish(self, within: float = 120.0) -> int:
        """Close its input, wait for its end, return its exit code."""
        self.close_input()
        return self._process.wait(within)

    def __enter__(self) -> "Stepped":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()
