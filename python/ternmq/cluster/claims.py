"""Ports that a launcher means to use, so that another launcher draws others before a node listens on them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection


class PortClaims:
    """The claims of one cluster, from before its ports are drawn until it has stopped.

    A claim is a unix socket with an abstract name. Like a port it exists once in a network namespace, for all users,
    and the kernel takes it back however its process ends; nothing lies on a disk. Outside Linux every claim is granted.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def take(self, port: int) -> bool:
        """Claim a port; False if another launcher on this machine has claimed it."""
        if port in self._held or sys.platform != "linux":
            return True
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0ternmq/port/{port}")
        except OSError:
            claim.close()
            return False
        self._held[port] = claim
        return True

    def keep(self, ports: Collection[int]) -> None:
        """Give up all claims but these."""
        for port in self._held.keys() - set(ports):
            self._held.pop(port).close()

    def close(self) -> None:
        """Give up all claims."""
        self.keep(())

    def __enter__(self) -> PortClaims:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
