"""What the workload of a fault run needs of a client, and how a payload carries its own identity."""

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

from support.speaker import Answer

# Delay levels that a run of minutes sees hundreds of messages come out of, and their seconds.
LEVEL_SECONDS = {1: 1, 2: 5, 3: 10}


@dataclass(frozen=True)
class Outcome:
    """How one attempt of a send ended: `ok`, `fail` only if it is proven that nothing was appended, else `info`."""

    kind: Literal["ok", "fail", "info"]
    code: int | None = None
    broker: str | None = None
    queue: int | None = None
    queue_offset: int | None = None
    message_id: str | None = None


@dataclass(frozen=True)
class Delivered:
    """One message as an application gets it."""

    topic: str
    broker: str
    queue: int
    queue_offset: int
    body: bytes
    attempt: int


def outcome_of(answer: Answer, broker: str, certain: frozenset[int], level: int = 0) -> Outcome:
    """What an answer to a send means.

    Args:
        answer: as it came.
        broker: name of the group that gave it.
        certain: codes that prove that nothing was appended, on the servers that are tested.
        level: delay level; of a message that is held back the answer says where it waits, which is nobody's business.
    """
    if answer.code != 0:
        return Outcome("fail" if answer.code in certain else "info", answer.code)
    if level:
        return Outcome("ok", 0, broker)
    fields = answer.fields
    return Outcome("ok", 0, broker, int(fields["queueId"]), int(fields["queueOffset"]), fields["msgId"])


class Sender(Protocol):
    """A producer that tries once."""

    async def send(self, topic: str, key: str, body: bytes, level: int = 0) -> Outcome:
        """Send one message; messages of one key keep their order.

        Args:
            topic: where to.
            key: what decides the queue, where nothing is held back.
            body: the payload.
            level: delay level; the acknowledgement of a message that is held back names no place.
        """


def make_body(uid: str, size: int) -> bytes:
    """A payload that begins with its uid."""
    head = uid.encode() + b"|"
    return head + b"." * max(0, size - len(head))


def uid_of(body: bytes) -> str:
    """The uid in a payload."""
    return body.split(b"|", 1)[0].decode(errors="replace")


def digest_of(body: bytes) -> str:
    """A short checksum of a payload."""
    return hashlib.blake2s(body, digest_size=8).hexdigest()
