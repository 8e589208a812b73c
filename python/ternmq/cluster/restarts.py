"""When a node that died is started again. Pure: time comes in as an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
# A node that ran this long was healthy: its next death starts from the first delay again.
STEADY_AFTER_S = 60.0


@dataclass
class RestartPolicy:
    """One second after the first death, doubling to thirty.

    Args:
        enabled: False leaves every dead node dead (``--no-restart``).
    """

    enabled: bool = True
    _next_delay_s: dict[str, float] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def hold(self, node: str) -> None:
        """Leave a node dead until it is released: it was killed on purpose."""
        self._held.add(node)

    def is_held(self, node: str) -> bool:
        """Whether a node waits for a person to start it."""
        return node in self._held

    def release(self, node: str) -> None:
        """Let a node run again, with a clean record."""
        self._held.discard(node)
        self._next_delay_s.pop(node, None)

    def delay_after_death(self, node: str, ran_for_s: float) -> float | None:
        """Say how long to wait before a node that has just died is started again.

        Args:
            node: its name.
            ran_for_s: how long the process had lived.

        Returns:
            Seconds, or None to leave it dead.
        """
        if not self.enabled or node in self._held:
            return None
        if ran_for_s >= STEADY_AFTER_S:
            self._next_delay_s.pop(node, None)
        delay = self._next_delay_s.get(node, FIRST_DELAY_S)
        self._next_delay_s[node] = min(delay * 2, LONGEST_DELAY_S)
        return delay
