"""A node that listens beyond loopback without access control says so again and again."""

import asyncio
import logging

from ternmq.config.addresses import is_loopback

_log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0


async def warn_while_exposed(name: str, listen_host: str) -> None:
    """Log a warning every minute while a node is open to others; returns at once where it is not.

    Args:
        name: of the node.
        listen_host: address that it listens on.
    """
    while not is_loopback(listen_host):
        _log.warning("%s listens on %s without access control (--insecure); anyone there may use it", name, listen_host)
        await asyncio.sleep(INTERVAL_SECONDS)
