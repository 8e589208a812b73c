"""Send messages: one with a tag, keys and properties, and many without waiting for each.

Start a cluster in this folder with `ternmq up -d`, or name one: `TERNMQ_ENDPOINTS="ns1:9876;ns2:9876"`.
"""

import asyncio

import ternmq


async def main() -> None:
    async with ternmq.connect() as mq, mq.producer("shop") as out:
        receipt = await out.send("fruit", b"two apples", tag="red", keys=["A1"], properties={"shelf": "4"})
        print("stored on a majority's disks:", receipt.queue.topic)

        # `post` returns when there is room to send more; the receipt comes with the future.
        futures = [await out.post("fruit", f"apple {number}".encode()) for number in range(1000)]
        receipts = await asyncio.gather(*futures)
        print(len(receipts), "more")


asyncio.run(main())

# prints:
#   stored on a majority's disks: fruit
#   1000 more
