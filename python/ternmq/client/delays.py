"""The 18 fixed delays of RocketMQ: exact for what is sent, rounded up for what comes again.

Source: RocketMQ, MessageStoreConfig, messageDelayLevel.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta

from ternmq import _core
from ternmq.client.arguments import seconds
from ternmq.errors import UnsupportedError

LEVEL_SECONDS = tuple(delay_ms // 1_000 for delay_ms in _core.DELAYS_MS)
"""Seconds of the levels 1 to 18."""
MAX_LEVEL = len(LEVEL_SECONDS)


def exact_level(delay: float | timedelta) -> int:
    """The level of a delay that is one of the fixed ones.

    Raises:
        ConfigError: not a duration above 0.
        UnsupportedError: between two levels, or beyond the last; names the nearest below and above.
    """
    wanted = seconds(delay, "delay")
    if wanted in LEVEL_SECONDS:
        return LEVEL_SECONDS.index(int(wanted)) + 1
    index = bisect_left(LEVEL_SECONDS, wanted)
    near = " or ".join(f"{level} s" for level in LEVEL_SECONDS[max(index - 1, 0) : index + 1])
    raise UnsupportedError(f"delay is {wanted:g} s, but there are 18 fixed delays, from 1 s to two hours; take {near}")


def level_at_least(delay: float | timedelta) -> int:
    """The first level that waits as long as asked, or longer.

    Raises:
        ConfigError: not a duration above 0.
        UnsupportedError: longer than the last level, two hours.
    """
    wanted = seconds(delay, "delay")
    level = bisect_left(LEVEL_SECONDS, wanted) + 1
    if level > MAX_LEVEL:
        raise UnsupportedError(f"delay is {wanted:g} s, but a message can come again after two hours at most")
    return level


def retry_level(times: int) -> int:
    """The level after which a message comes again that had failed `times` times before this failure."""
    return min(3 + times, MAX_LEVEL)
