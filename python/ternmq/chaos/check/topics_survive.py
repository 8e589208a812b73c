"""I19, for topics: a topic whose creation was acknowledged is there ever after, with all its queues."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report
from ternmq.chaos.history import Event

# A broker registers at once when topics change; until then a NameServer may show the table from before. The claim is
# that a topic survives, not how fast it shows: this is long enough for a machine that others use.
SETTLE_NS = 10_000_000_000


def check(history: Sequence[Event]) -> Report:
    """Compare every later sample of a topic, at its broker, with what was acknowledged."""
    acknowledged: dict[tuple[str | None, str | None], Event] = {}
    sampled: set[tuple[str | None, str | None]] = set()
    wrong = []
    looked_at = 0
    for event in history:
        topic = event.topic, event.broker
        if event.operation == "create_topic" and event.kind == "ok":
            acknowledged[topic] = event
        elif event.operation == "topic_queues" and topic in acknowledged:
            made = acknowledged[topic]
            if event.time_ns < made.time_ns + SETTLE_NS:
                continue
            looked_at += 1
            sampled.add(topic)
            if (event.value or 0) < (made.value or 0):
                wrong.append(f"{topic} was made with {made.value} queues and has {event.value} at {event.time_ns}")
    wrong += [f"nobody looked for {topic} after it was made" for topic in acknowledged.keys() - sampled]
    return Report(looked_at, tuple(wrong))
