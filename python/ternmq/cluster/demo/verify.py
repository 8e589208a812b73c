"""Was everything kept that was promised? A pure comparison of two records.

One record is the producers' own: what each sent, and which of it was acknowledged, at which position. The other is what
an independent consumer group read from the first offset on, after all faults. At-least-once delivery is the promise,
so a message may come twice; it may not be missing, altered, out of order within its key, elsewhere than the receipt
said, or unknown to all producers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class QueuePosition:
    """Where a message lies.

    Args:
        queue: group and queue id, such as ``group-a:3``.
        queue_offset: its number in the queue.
    """

    queue: str
    queue_offset: int


@dataclass(frozen=True)
class Delivery:
    """One message as a consumer got it.

    Args:
        key: what orders it.
        sequence: its number within the key.
        body: its body.
        position: where it was read.
    """

    key: str
    sequence: int
    body: bytes
    position: QueuePosition


@dataclass
class SendRecord:
    """What the producers did, in their own words."""

    sent: dict[tuple[str, int], bytes] = field(default_factory=dict)
    acknowledged: dict[tuple[str, int], QueuePosition] = field(default_factory=dict)

    def sending(self, key: str, sequence: int, body: bytes) -> None:
        """Note a message before its first try: from here on it may exist."""
        self.sent[key, sequence] = body

    def acknowledge(self, key: str, sequence: int, position: QueuePosition) -> None:
        """Note a receipt: from here on it must exist, at this position."""
        self.acknowledged[key, sequence] = position


@dataclass
class Verdict:
    """What the comparison found; each problem as a sentence.

    Args:
        acknowledged: messages with a receipt.
        delivered: those of them that were delivered, each counted once.
        duplicates: deliveries of a message that had been delivered before.
        unacknowledged: messages delivered that had been sent without getting a receipt; allowed.
        lost_as_allowed: messages with a receipt that the mode may lose, and that are not there.
        lost: messages with a receipt that are not there, beyond those.
    """

    acknowledged: int = 0
    delivered: int = 0
    duplicates: int = 0
    unacknowledged: int = 0
    lost_as_allowed: int = 0
    lost: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)

    @property
    def order_held(self) -> bool:
        """Whether each key's messages came in the order in which they were sent."""
        return not self.reordered

    @property
    def problems(self) -> list[str]:
        """Everything that must not be."""
        return [*self.lost, *self.altered, *self.phantoms, *self.reordered, *self.misplaced]

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.problems

    def __str__(self) -> str:
        """Sum it up on one line."""
        return (
            f"acknowledged {self.acknowledged} · delivered {self.delivered} · "
            f"lost {len(self.lost)} · duplicates {self.duplicates}"
        )


def check(
    record: SendRecord,
    deliveries: Iterable[Delivery],
    *,
    ordered: bool = True,
    allowed: Collection[tuple[str, int]] = (),
) -> Verdict:
    """Compare what was promised with what was delivered.

    Args:
        record: the producers' own record.
        deliveries: everything that one consumer group got, in the order in which it got it.
        ordered: the messages of a key were sent to one queue, so that their order was promised.
        allowed: acknowledged messages, by key and number, that the mode may lose.
    """
    verdict = Verdict(acknowledged=len(record.acknowledged))
    positions: dict[tuple[str, int], set[QueuePosition]] = {}
    newest: dict[str, int] = {}
    for delivery in deliveries:
        message = (delivery.key, delivery.sequence)
        name = f"{delivery.key}#{delivery.sequence}"
        if message not in record.sent:
            verdict.phantoms.append(f"{name} was delivered, and nobody sent it")
            continue
        if delivery.body != record.sent[message]:
            verdict.altered.append(f"{name} was delivered with another body")
            continue
        seen = positions.setdefault(message, set())
        if seen:
            verdict.duplicates += 1
        else:
            if ordered and newest.get(delivery.key, -1) > delivery.sequence:
                verdict.reordered.append(f"{name} came after {delivery.key}#{newest[delivery.key]}")
            newest[delivery.key] = max(newest.get(delivery.key, -1), delivery.sequence)
        seen.add(delivery.position)
    _check_receipts(record, positions, verdict, allowed)
    return verdict


def _check_receipts(
    record: SendRecord,
    positions: dict[tuple[str, int], set[QueuePosition]],
    verdict: Verdict,
    allowed: Collection[tuple[str, int]],
) -> None:
    for message, position in record.acknowledged.items():
        name = f"{message[0]}#{message[1]}"
        if message not in positions and message in allowed:
            verdict.lost_as_allowed += 1
            continue
        if message not in positions:
            verdict.lost.append(f"{name} was acknowledged and never delivered")
            continue
        verdict.delivered += 1
        if position not in positions[message]:
            verdict.misplaced.append(
                f"{name} was acknowledged at {position.queue_offset} of {position.queue} and delivered from elsewhere"
            )
    verdict.unacknowledged = sum(message not in record.acknowledged for message in positions)
