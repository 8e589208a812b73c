"""Our own client as the workload uses it: one try a send, a consumer group that settles by blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import ternmq
from fault.outcomes import LEVEL_SECONDS, Delivered, Outcome
from ternmq.errors import ConfigError, MQError, RejectedError, StoredUnconfirmedError

SEND_TIMEOUT_SECONDS = 10.0


class TernSender:
    """A producer that tries once; waiting for a route is not a try.

    Args:
        producer: opened with `retries=0`.
    """

    def __init__(self, producer: ternmq.Producer[bytes]) -> None:
        self._producer = producer

    async def send(self, topic: str, key: str, body: bytes, level: int = 0) -> Outcome:
        """Send one message, with its key as shard unless it is held back."""
        shard, delay = (None, LEVEL_SECONDS[level]) if level else (key, None)
        try:
            receipt = await self._producer.send(topic, body, keys=[key], shard=shard, delay=delay)
        except ConfigError:
            raise  # the harness is wrong, and nothing was sent
        except RejectedError as error:
            return Outcome("fail" if error.certain else "info", error.code)
        except StoredUnconfirmedError as error:
            return Outcome("info", error.code)
        except MQError as error:
            await asyncio.sleep(0.02)
            return Outcome("info", error.code)
        if level:
            return Outcome("ok", 0, receipt.queue.broker)
        return Outcome("ok", 0, receipt.queue.broker, receipt.queue.id, receipt.queue_offset)


async def tern_consumer(client: ternmq.Client, group: str, topic: str) -> AsyncIterator[Delivered]:
    """Messages of a group consumer; each is settled when the next one is asked for."""
    async with client.consumer(group, topic, start="earliest") as inbox:
        async for message in inbox:
            async with message:
                yield Delivered(
                    topic, message.queue.broker, message.queue.id, message.queue_offset, message.body, message.attempt
                )
