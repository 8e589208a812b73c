"""When to ask again for the leader of a group whose master is unknown. Pure: time is an argument."""

from __future__ import annotations

LEAST_PAUSE_SECONDS = 0.01
"""A group elects within some 20 ms of its leader's death: asking every 200 ms would add most of the gap."""
MOST_PAUSE_SECONDS = 0.2
WANTED_SECONDS = 10.0
"""How long a group stays wanted after the last call that needed its master."""
_CALM_SECONDS = 1.0
"""A group that loses its master again sooner is asked about at the pace that was reached: its NameServers disagree."""


class LeaderDiscovery:
    """When to ask for one group's master: at once, then after pauses of 10, 20, 40 … 200 ms.

    Args:
        now: when the master was first missed.
    """

    def __init__(self, now: float) -> None:
        self.due = now
        self._pause = LEAST_PAUSE_SECONDS
        self._until = now + WANTED_SECONDS
        self._asked = now

    def extend(self, now: float) -> None:
        """A call needs the master: keep asking."""
        self._until = now + WANTED_SECONDS

    def restart(self, now: float) -> None:
        """The master was lost, after there was one: ask at once, but for a group that has just been asked about."""
        if now - self._asked >= _CALM_SECONDS:
            self.due, self._pause = now, LEAST_PAUSE_SECONDS
        self.extend(now)

    def asked(self, now: float) -> None:
        """The question is on its way; the next one comes after the next pause."""
        self._asked = now
        self.due = now + self._pause
        self._pause = min(2 * self._pause, MOST_PAUSE_SECONDS)

    def is_over(self, now: float) -> bool:
        """Whether no call has needed the master for a while."""
        return now >= self._until
