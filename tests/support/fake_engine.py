"""An engine of one replica in memory: for tests of the control plane, which only proposes and looks."""

from collections.abc import Callable
from typing import Any

from ternmq.broker.engine import ClientRow, ConsumersRow, FollowerRow, Progress, TopicRow


class FakeEngine:
    """Keeps topics; decides proposals as it is told.

    Args:
        decided: takes proposal id, code and remark.
    """

    def __init__(self, decided: Callable[[int, int, str | None], None]) -> None:
        self.decided = decided
        self.verdict: tuple[int, str | None] | None = (0, None)
        self.rows: dict[str, TopicRow] = {}
        self.read_only = False
        self.rejects_sends = False
        self.group_rows: dict[str, dict[str, Any]] = {}
        self.ranges: dict[str, list[tuple[int, int, int, int]]] = {}
        self.times: dict[tuple[str, int, int], int] = {}
        self.committed: dict[str, list[tuple[str, int, int]]] = {}
        self.connected: dict[str, ConsumersRow] = {}
        self.producing: dict[str, list[ClientRow]] = {}
        self.cleaned: list[str] = []
        self.transferred: list[str] = []
        self.others: list[Progress] = []
        self.sent_away = False
        self.on_transfer: Callable[[str], None] = lambda member: None
        self.totals: dict[str, int] = {}
        self.parts: list[int | None] = []
        self.delays: dict[int, tuple[int, int]] = {}
        self.state: dict[str, Any] = {"role": "leader", "term": 3, "leader": "n0", "last_position": 4096}

    def stop(self, timeout_ms: int) -> None:
        """Nothing runs."""

    def status(self) -> dict[str, Any]:
        """What a test has put there."""
        return self.state

    def topics(self) -> list[TopicRow]:
        """Topics that were committed."""
        return list(self.rows.values())

    def topic(self, name: str) -> TopicRow | None:
        """One that was committed."""
        return self.rows.get(name)

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
        if self._decide(proposal_id):
            self.rows[name] = (name, read, write, perm, sys_flag, order, filter_type, attributes)

    def use_topic(self, proposal_id: int, name: str, queues: int) -> None:
        """As `put_topic`, where there is none of that name."""
        if self._decide(proposal_id) and name not in self.rows:
            self.rows[name] = (name, queues, queues, 6, 0, False, "SINGLE_TAG", {})

    def permission(self) -> tuple[int, bool]:
        """What was committed."""
        return (4 if self.read_only else 6), self.rejects_sends

    def put_permission(self, proposal_id: int, read_only: bool | None, rejects_sends: bool | None) -> None:
        """As `put_topic`."""
        if self._decide(proposal_id):
            self.read_only = self.read_only if read_only is None else read_only
            self.rejects_sends = self.rejects_sends if rejects_sends is None else rejects_sends

    def delete_topic(self, proposal_id: int, name: str) -> None:
        """As `put_topic`."""
        if self._decide(proposal_id):
            self.rows.pop(name, None)

    def put_group(self, proposal_id: int, config: dict[str, Any]) -> None:
        """As `put_topic`."""
        if self._decide(proposal_id):
            self.group_rows[config["groupName"]] = config

    def delete_group(self, proposal_id: int, name: str, clean_offsets: bool) -> None:
        """As `put_topic`."""
        if self._decide(proposal_id):
            self.group_rows.pop(name, None)
            self.cleaned += [name] if clean_offsets else []

    def group_configs(self) -> list[dict[str, Any]]:
        """Groups that were committed."""
        return list(self.group_rows.values())

    def group_version(self) -> tuple[int, int]:
        """One change a group."""
        return len(self.group_rows), 0

    def groups(self) -> list[str]:
        """Groups that have committed offsets."""
        return list(self.committed)

    def queue_range(self, topic: str, queue_id: int) -> tuple[int, int]:
        """What a test has put there."""
        return next(((begin, end) for id_, begin, end, _ in self.ranges.get(topic, []) if id_ == queue_id), (0, 0))

    def store_times(self, topic: str, places: list[tuple[int, int]]) -> list[int]:
        """What a test has put there, of the newest messages with their queues."""
        newest = {(topic, queue_id, end - 1): last_ms for queue_id, _, end, last_ms in self.ranges.get(topic, [])}
        return [(newest | self.times).get((topic, queue_id, offset), 0) for queue_id, offset in places]

    def offsets(self, group: str) -> list[tuple[str, int, int]]:
        """What a test has put there."""
        return self.committed.get(group, [])

    def subscribers(self, topic: str) -> list[str]:
        """Connected groups with a subscription to it."""
        return [group for group, row in self.connected.items() if any(held[0] == topic for held in row[4])]

    def consumers(self, group: str) -> ConsumersRow | None:
        """What a test has put there."""
        return self.connected.get(group)

    def producers(self, group: str) -> list[ClientRow]:
        """What a test has put there."""
        return self.producing.get(group, [])

    def followers(self) -> list[FollowerRow]:
        """One that lacks 3,000 bytes for a quarter of a second."""
        return [("n1", "127.0.0.1:10912", 70, 3_000, 250)]

    def progress(self) -> list[Progress]:
        """What a test has put there."""
        return self.others

    def send_away(self) -> None:
        """Remember it."""
        self.sent_away = True

    def promote(self, force: bool) -> tuple[int, int]:
        """A slave that has frames up to 7, or the refusal that a test has set."""
        if not force:
            raise ValueError("its master is gone, and messages may be lost")
        return 7, 1_700_000_000_000

    def transfer_leader(self, member: str) -> None:
        """Remember it."""
        self.transferred.append(member)
        self.on_transfer(member)

    def first_stored(self, index: int, max_bytes: int) -> tuple[int | None, int | None]:
        """What a test has put there: parts of the log, numbered from 0."""
        assert max_bytes > 0
        following = index + 1 if index + 1 < len(self.parts) else None
        return (self.parts[index] if index < len(self.parts) else None), following

    def delay_level(self, level: int) -> tuple[int, int] | None:
        """What a test has put there, of 18 levels."""
        return self.delays.get(level, (0, 0)) if level <= 18 else None

    def counters(self) -> dict[str, int]:
        """What a test has put there."""
        return self.totals

    def _decide(self, proposal_id: int) -> bool:
        if self.verdict is None:
            return False
        self.decided(proposal_id, *self.verdict)
        return self.verdict[0] == 0
