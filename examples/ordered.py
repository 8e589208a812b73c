"""Keep the order of what belongs together: messages of one shard go to one queue, and one handler at a time gets it."""

import asyncio

import ternmq


async def main() -> None:
    steps: dict[str, list[str]] = {}
    done = asyncio.Event()

    async def follow(msg: ternmq.Message[str]) -> None:
        order, _, step = msg.value.partition(" ")
        steps.setdefault(order, []).append(step)
        if sum(map(len, steps.values())) == 9:
            done.set()

    async with ternmq.connect() as mq:
        await mq.admin.create_topic("deliveries", queues=4, type="fifo", if_exists="ok")
        async with (
            mq.producer("shop", codec=ternmq.Text()) as out,
            mq.consumer("parcels", "deliveries", codec=ternmq.Text(), ordered=True, start="earliest") as inbox,
            asyncio.TaskGroup() as tasks,
        ):
            reading = tasks.create_task(inbox.run(follow, concurrency=4))
            for step in ("packed", "sent", "delivered"):
                for order in ("apples", "bread", "cheese"):
                    await out.send("deliveries", f"{order} {step}", shard=order)
            await done.wait()
            reading.cancel()

    for order, seen in sorted(steps.items()):
        print(order, *seen)


asyncio.run(main())

# prints:
#   apples packed sent delivered
#   bread packed sent delivered
#   cheese packed sent delivered
