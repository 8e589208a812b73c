"""Read in batches at your own pace, and decide when what was read counts as done."""

import asyncio

import ternmq


async def main() -> None:
    async with ternmq.connect() as mq:
        async with mq.producer("web", codec=ternmq.Text()) as out:
            await out.send_batch("clicks", [f"page {number}" for number in range(250)])

        async with mq.consumer("reports", "clicks", codec=ternmq.Text(), mode="pull", start="earliest") as log:
            count = 0
            async for batch in log.batches(max_size=100, max_wait=0.5):
                count += len(batch)
                # Only now the group's offset moves: after a crash before this line the batch comes again.
                await batch.ack()
                if count >= 250:
                    break
            print(count, "clicks")


asyncio.run(main())

# prints:
#   250 clicks
