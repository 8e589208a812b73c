"""Find out before anything starts which ports are taken, so that the message can name the setting."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from ternmq.cluster.claims import PortClaims
from ternmq.cluster.node import NodeSpec
from ternmq.errors import LaunchError


def is_free(host: str, port: int) -> bool:
    """Try to bind a port, as the node would a moment later."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that are still in TIME_WAIT must not count; listeners do all the same.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def are_free(nodes: Iterable[NodeSpec]) -> bool:
    """Say whether no port of any of these nodes is in use."""
    return all(is_free(port.host, port.port) for node in nodes for port in node.ports)


def check_ports(nodes: Iterable[NodeSpec], topology: str, claims: PortClaims | None = None) -> None:
    """Refuse to start when a port is in use.

    Args:
        nodes: about to start.
        topology: path of the topology file, for the message.
        claims: takes each port; one that another launcher has claimed is in use, even before its node listens.

    Raises:
        LaunchError: names the first taken port, its node and its setting.
    """
    for node in nodes:
        for port in node.ports:
            if (claims is not None and not claims.take(port.port)) or not is_free(port.host, port.port):
                raise LaunchError(
                    f"port {port.port} on {port.host} is in use; {node.name} needs it ({port.setting} in {topology})",
                    f"end the program that listens there, change {port.setting}, or choose another --data folder",
                )
