"""Which queue a shard key belongs to: jump hash of Java's string hash, as RocketMQ's Proxy does it.

Source: RocketMQ 5.x Proxy, SendMessageActivity; J. Lamping and E. Veach, "A fast, minimal memory, consistent hash
algorithm" (2014), with the generator that Guava's Hashing.consistentHash uses.
"""

from __future__ import annotations

_MASK_64 = (1 << 64) - 1
_MULTIPLIER = 2862933555777941757


def java_string_hash(text: str) -> int:
    """Hash as ``java.lang.String.hashCode``: over UTF-16 code units, wrapping at 32 bits, signed."""
    value = 0
    if text.isascii():
        for unit in text.encode("ascii"):
            value = (31 * value + unit) & 0xFFFFFFFF
    else:
        units = text.encode("utf-16-be", "surrogatepass")
        for high, low in zip(units[::2], units[1::2], strict=True):
            value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def jump_hash(key: int, buckets: int) -> int:
    """Bucket of a 64-bit key; going from n to n + 1 buckets moves one key in n + 1.

    Args:
        key: signed or unsigned 64-bit number.
        buckets: at least 1.
    """
    if buckets < 1:
        raise ValueError(f"buckets is {buckets}, but must be at least 1")
    state = key & _MASK_64
    candidate = 0
    while True:
        state = (state * _MULTIPLIER + 1) & _MASK_64
        step = ((state >> 33) + 1) / float(1 << 31)
        following = int((candidate + 1) / step)
        if following >= buckets:
            return candidate
        candidate = following


def shard_index(shard: str, queues: int) -> int:
    """Index, in a topic's sorted queues, of the queue that a shard key belongs to."""
    return jump_hash(java_string_hash(shard), queues)
