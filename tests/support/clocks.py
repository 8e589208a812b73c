"""Wall clocks that are wrong, one process at a time: a library that is compiled here and preloaded into a cluster."""

from pathlib import Path

import pytest

from support.preloading import preload

_SOURCE = Path(__file__).with_name("clock") / "wrong_clock.c"


class WrongClocks:
    """Moves the wall clocks of processes that were started after this was made; skips the test without a C compiler.

    Args:
        folder: for the library and for what it reads.
        monkeypatch: for the environment that those processes inherit.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "wrong-clocks"
        preload(self._folder, _SOURCE, "WRONG_CLOCKS", monkeypatch)

    def move(self, pid: int, milliseconds: int) -> None:
        """Move the clock of a process from where the machine's stands; 0 makes it right again."""
        new = self._folder / "new"
        new.write_text(str(milliseconds))
        # Read at any moment: never half of it.
        new.replace(self._folder / str(pid))
