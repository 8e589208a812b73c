"""Words of sentences that people read."""


def counted(count: int, noun: str) -> str:
    """Write a number with its noun: ``1 queue``, ``2 queues``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
