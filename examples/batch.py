"""Send several messages in one request, to one queue: all of them are stored or none."""

import asyncio
from dataclasses import dataclass

import ternmq


@dataclass
class Reading:
    minute: int
    watts: int


async def main() -> None:
    async with ternmq.connect() as mq, mq.producer("meters", codec=ternmq.JSON(Reading)) as out:
        try:
            receipts = await out.send_batch("readings", [Reading(minute, 40) for minute in range(60)])
        except ternmq.OutcomeUnknownError:
            # Nobody answered in time: it may be stored. Send it again if a second copy does no harm.
            raise
        offsets = [receipt.queue_offset for receipt in receipts]
        print(len(offsets), "messages in", len({receipt.queue for receipt in receipts}), "queue")
        print("one behind the other:", offsets == list(range(offsets[0], offsets[0] + 60)))


asyncio.run(main())

# prints:
#   60 messages in 1 queue
#   one behind the other: True
