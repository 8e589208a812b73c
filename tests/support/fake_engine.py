"""An engine of one replica in memory: for tests of the control plane, which only proposes and looks."""

from collections.abc import Callable
from typing import Any

from ternmq.broker.engine import TopicRow


class FakeEngine:
    """Keeps topics; decides proposals as it is told.

    Args:
        decided: takes proposal id, code and remark.
    """

    def __init__(self, decided: Callable[[int, int, str | None], None]) -> None:
        self.decided = decided
        self.verdict: tuple[int, str | None] | None = (0, None)
        self.rows: dict[str, TopicRow] = {}
        self.transferred: list[str] = []
        self.totals: dict[str, int] = {}
        self.state: dict[str, Any] = {"role": "leader", "term": 3, "leader": "n0", "last_position": 4096}

    def stop(self, timeout_ms: int) -> None:
        """Nothing runs."""

    def status(self) -> dict[str, Any]:
        """What a test has put there."""
        return self.state

    def topics(self) -> list[TopicRow]:
        """Topics that were committed."""
        return list(self.rows.values())

    def topic_version(self) -> tuple[int, int]:
        """One change a topic."""
        return len(self.rows), 0

    def put_topic(
        self,
        proposal_id: int,
        name: str,
        read: int,
        write: int,
        perm: int,
        sys_flag: int,
        order: bool,
        filter_type: str,
        attributes: dict[str, str],
    ) -> None:
        """Commit at once, or refuse, or never decide."""
        if self.verdict is None:
            return
        if self.verdict[0] == 0:
            self.rows[name] = (name, read, write, perm, sys_flag, order, filter_type, attributes)
        self.decided(proposal_id, *self.verdict)

    def transfer_leader(self, member: str) -> None:
        """Remember it."""
        self.transferred.append(member)

    def counters(self) -> dict[str, int]:
        """What a test has put there."""
        return self.totals
