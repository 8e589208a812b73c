"""One send: what it carries, how far it has come, and what an answer that says stored makes of it."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from ternmq.client.message_queue import MessageQueue
from ternmq.client.publish_info import TopicPublishInfo
from ternmq.client.receipts import SendReceipt, SendStatus
from ternmq.errors import OutcomeUnknownError, StoredUnconfirmedError
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Answer, Outcome

STORED: dict[int, SendStatus] = {
    ResponseCode.SUCCESS: "ok",
    ResponseCode.FLUSH_DISK_TIMEOUT: "flush_disk_timeout",
    ResponseCode.SLAVE_NOT_AVAILABLE: "slave_not_available",
    ResponseCode.FLUSH_SLAVE_TIMEOUT: "flush_slave_timeout",
}
"""Codes of answers after which a message is stored, and the status of its receipt."""


class PendingSend:
    """One message, or one batch, on its way.

    Args:
        publish_info: where its topic's sends go.
        code: request code, 310 or 320.
        fields: header fields but for queue, time and properties; the same object in many sends.
        properties: in their text form.
        body: the wire's body.
        shard: key whose sends go one after the other; None for none.
        deadline: time of the loop.
        tries: how many there may be.
        future: gets the receipt, of a batch the receipts, or the exception.
        id: message id, to be put before the properties; None to be made at the first try; empty if they have it.
        batch: message ids of a batch.
        born_ms: when the message was made; 0 for now.
    """

    __slots__ = (
        "address", "ambiguous", "attempt", "batch", "body", "born_ms", "call_id", "code", "deadline", "fields",
        "future", "id", "last", "properties", "publish_info", "queue", "sent_at", "shard", "timer", "tries", "waits",
    )  # fmt: skip

    def __init__(
        self,
        publish_info: TopicPublishInfo,
        code: int,
        fields: dict[str, str],
        properties: str,
        body: bytes,
        shard: str | None,
        deadline: float,
        tries: int,
        future: asyncio.Future[Any],
        id: str | None = None,
        batch: list[str] | None = None,
        born_ms: int = 0,
    ) -> None:
        self.publish_info = publish_info
        self.code = code
        self.fields = fields
        self.properties = properties
        self.body = body
        self.shard = shard
        self.deadline = deadline
        self.tries = tries
        self.future = future
        self.id = id
        self.batch = batch
        self.born_ms = born_ms
        self.queue: MessageQueue | None = None
        self.address = ""
        self.call_id = 0
        self.attempt = 0
        self.waits = 0
        self.sent_at = math.inf  # until it has crossed
        self.ambiguous = False
        self.last: Outcome | None = None
        self.timer: asyncio.TimerHandle | None = None


def receipts(ids: list[str], queue: MessageQueue, first: int) -> list[SendReceipt]:
    """Receipts of a batch that was stored at queue offsets from `first` on."""
    return [SendReceipt(ident, queue, first + index, "ok") for index, ident in enumerate(ids)]


def unconfirmed(send: PendingSend, answer: Answer) -> StoredUnconfirmedError | OutcomeUnknownError:
    """The error of a send whose answer says stored, but not as plainly as it should.

    Args:
        send: on its way until now.
        answer: with a code of `STORED`; without a queue offset it is worth no more than no answer.
    """
    try:
        queue_offset = int(answer.fields["queueOffset"])
        number = int(answer.fields["queueId"])
    except (KeyError, ValueError) as error:
        unknown = OutcomeUnknownError(f"{send.address} answered a send without a queue offset", broker=send.address)
        unknown.__cause__ = error
        return unknown
    assert send.queue is not None
    status = STORED[answer.code]
    ident = send.batch[0] if send.batch else send.id or ""
    return StoredUnconfirmedError(
        f"{send.address} stored the message but did not confirm it as configured: {status}",
        code=answer.code,
        broker=send.address,
        remark=answer.remark,
        receipt=SendReceipt(ident, send.queue._replace(id=number), queue_offset, status),
    )
