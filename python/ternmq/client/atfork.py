"""What a fork does to open clients: the child has none of the engine's threads, so its copies refuse every use."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Abandonable(Protocol):
    """An open client, as it is seen here."""

    def abandon(self) -> None:
        """Refuse every use from now on, and touch nothing that the parent process still has."""


_open: weakref.WeakSet[Abandonable] = weakref.WeakSet()


def register(client: Abandonable) -> None:
    """Have a client abandoned in every child of this process, until `unregister`."""
    _open.add(client)


def unregister(client: Abandonable) -> None:
    """End `register`: the client is closed."""
    _open.discard(client)


def registered() -> tuple[Abandonable, ...]:
    """The open clients of this process."""
    return tuple(_open)


def _abandon_all() -> None:
    for client in tuple(_open):
        client.abandon()
    _open.clear()


os.register_at_fork(after_in_child=_abandon_all)
