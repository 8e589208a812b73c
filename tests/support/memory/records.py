"""Messages of a queue without a pull answer behind them."""

from collections.abc import Iterable

from ternmq.client.inbox import Inbox
from ternmq.client.messages import Message
from ternmq.client.process_queue import ProcessQueue


class PlainRecords:
    """Records whose ids are their offsets, ``m10``, and which nobody has seen before."""

    def details(self, number: int) -> tuple[int, int, int, int, int, str, int, dict[str, str]]:
        return number, 0, 0, 0, 0, "127.0.0.1:1", 0, {"UNIQ_KEY": f"m{number}"}


def plain_messages(
    process_queue: ProcessQueue[Message[bytes]], inbox: Inbox[bytes], offsets: Iterable[int], body: bytes
) -> list[Message[bytes]]:
    """Messages of a queue with these offsets."""
    records = PlainRecords()
    return [Message(records, offset, offset, body, process_queue, inbox) for offset in offsets]
