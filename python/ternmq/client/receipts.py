"""What a broker says of a message that it has stored."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ternmq.client.message_queue import MessageQueue

SendStatus = Literal["ok", "flush_disk_timeout", "flush_slave_timeout", "slave_not_available"]


class SendReceipt(NamedTuple):
    """Proof that a message is stored.

    Args:
        id: message id made by the producer (UNIQ_KEY); the same over retries.
        queue: where it is stored; of a delayed message, where it will be.
        queue_offset: its number in that queue; of a delayed message, among those that wait as long.
        status: ``ok``, or how far a broker of another mode got.
    """

    id: str
    queue: MessageQueue
    queue_offset: int
    status: SendStatus
