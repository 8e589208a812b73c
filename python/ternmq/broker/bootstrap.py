"""What a broker logs until its group has bootstrapped: that takes all members, so one may have to be started."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

_log = logging.getLogger("ternmq.broker.founding")  # Public: users filter by it.

FIRST_AFTER_SECONDS = 1.0
"""Members that are started together have met by then."""
AGAIN_AFTER_SECONDS = 10.0


async def log_missing_members(
    group: str,
    addresses: Mapping[str, str],
    waiting_for: Callable[[], Collection[str] | None],
    *,
    first_s: float = FIRST_AFTER_SECONDS,
    again_s: float = AGAIN_AFTER_SECONDS,
) -> None:
    """Log which members are missing: once soon after the start, then again and again until the group has begun.

    Args:
        group: its name.
        addresses: member id to where the others reach it.
        waiting_for: ids of the members that are missing; None once the group has begun.
        first_s: seconds before the first line.
        again_s: seconds between two lines.
    """
    await asyncio.sleep(first_s)
    while (missing := waiting_for()) is not None:
        if missing:
            named = ", ".join(f"{member} ({addresses.get(member, 'unknown')})" for member in missing)
            _log.info("founding %s: waiting for %s", group, named)
        await asyncio.sleep(again_s if missing else first_s)
