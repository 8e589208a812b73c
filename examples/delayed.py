"""Send now, deliver later: one of the 18 fixed delays of RocketMQ, from a second to two hours."""

import asyncio
import time

import ternmq


async def main() -> None:
    async with ternmq.connect() as mq, mq.producer("shop", codec=ternmq.Text()) as out:
        sent = time.monotonic()
        await out.send("carts", "still interested?", delay=1)
        async with mq.consumer("reminders", "carts", codec=ternmq.Text(), start="earliest") as inbox:
            async for msg in inbox:
                async with msg:
                    print(msg.value, "came after its second:", time.monotonic() - sent >= 1)
                break


asyncio.run(main())

# prints:
#   still interested? came after its second: True
