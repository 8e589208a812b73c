"""Handle messages: what fails comes again, what can never succeed becomes a dead letter."""

import asyncio
from dataclasses import dataclass

import ternmq


@dataclass
class Payment:
    amount: int


async def main() -> None:
    async with ternmq.connect() as mq, mq.producer("shop", codec=ternmq.JSON(Payment)) as out:
        for amount in (3, 0, -1):
            await out.send("payments", Payment(amount))

        async with mq.consumer("ledger", "payments", codec=ternmq.JSON(Payment), start="earliest") as inbox:
            settled = 0
            async for msg in inbox:
                # Left without an exception the message is acknowledged; after one it comes again, at first after 10 s.
                async with msg:
                    amount = msg.value.amount
                    if amount < 0:
                        print("refused for good:", amount)
                        raise ternmq.Reject("an amount below 0")  # a dead letter in %DLQ%ledger
                    if amount == 0 and msg.attempt == 1:
                        await msg.nack(delay=1)  # come again after a second
                        continue
                    print("booked:", amount, "at attempt", msg.attempt)
                settled += 1
                if settled == 3:
                    break


asyncio.run(main())

# prints, in any order:
#   booked: 3 at attempt 1
#   refused for good: -1
#   booked: 0 at attempt 2
