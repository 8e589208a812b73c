"""What a command shows while it works: a live line on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ternmq.cli.output import Output


class Progress:
    """Shows that something goes on and what; a context manager.

    Args:
        out: where, and whether at all.
        task: what is being done, in a word or two.
    """

    def __init__(self, out: Output, task: str) -> None:
        self._out = out
        self._task = task
        self._status: Any = None
        self._said = ""

    def __enter__(self) -> Progress:
        """Start to show."""
        if self._out.is_live:
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False).status(self._task)
            self._status.start()
        return self

    def say(self, text: str) -> None:
        """Show the newest state of things."""
        self._said = text
        if self._status is None:
            self._out.note(text)
        else:
            self._status.update(f"{self._task}: {text}")

    def close(self, *, keep_last: bool = False) -> None:
        """End the live line; what is said from now on comes as plain lines.

        Args:
            keep_last: leave what was said last as a line.
        """
        if self._status is not None:
            self._status.stop()
            self._status = None
            if keep_last and self._said:
                self._out.note(self._said)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        self.close()
