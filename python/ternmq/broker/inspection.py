"""What operators ask about a replica, put together from what its engine can be asked."""

from ternmq.broker.engine import Engine

# How far into the log the oldest message is looked for: it may begin with frames that hold none.
_OLDEST_READS = 64
_OLDEST_BYTES = 64 << 10

QueueRange = tuple[int, int, int]
"""queue id, oldest offset, offset of the next message"""


def queue_ranges(engine: Engine, topic: str) -> list[QueueRange]:
    """Give all queues of a topic, those for reading and those for writing; none if there is no such topic."""
    row = engine.topic(topic)
    if row is None:
        return []
    _, read_queues, write_queues, *_ = row
    return [(queue_id, *engine.queue_range(topic, queue_id)) for queue_id in range(max(read_queues, write_queues))]


def newest_store_times(engine: Engine, topic: str, ranges: list[QueueRange]) -> list[int]:
    """Give the store time of the newest message of each queue, in milliseconds; 0 for an empty queue. Reads the log."""
    newest = {queue_id: end - 1 for queue_id, begin, end in ranges if end > begin}
    times = dict(zip(newest, engine.store_times(topic, list(newest.items())), strict=True))
    return [times.get(queue_id, 0) for queue_id, _, _ in ranges]


def oldest_store_time(engine: Engine) -> int:
    """Give the store time of the oldest message, in milliseconds. Reads the log.

    Returns:
        -1 if no message stands near the beginning of the log.
    """
    index: int | None = 0
    for _ in range(_OLDEST_READS):
        if index is None:
            break
        stored_ms, index = engine.first_stored(index, _OLDEST_BYTES)
        if stored_ms is not None:
            return stored_ms
    return -1


def delay_levels(engine: Engine) -> list[tuple[int, int, int]]:
    """Give level, messages put and messages stored of each delay level that has any."""
    rows = []
    level = 1
    while (row := engine.delay_level(level)) is not None:
        put, stored = row
        if stored > 0:
            rows.append((level, put, stored))
        level += 1
    return rows


def groups_of_topic(engine: Engine, topic: str) -> list[str]:
    """Give the groups that are connected with a subscription to a topic and those with offsets in it, in order."""
    with_offsets = {group for group in engine.groups() if any(row[0] == topic for row in engine.offsets(group))}
    return sorted(with_offsets | set(engine.subscribers(topic)))
