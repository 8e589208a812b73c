"""What the workload of a fault run needs of a client, and how a payload carries its own identity."""

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

from support.speaker import Answer


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


def outcome_of(answer: Answer, broker: str, certain: frozenset[int]) -> Outcome:
    """What an answer to a send means.

    Args:
        answer: as it came.
        broker: name of the group that gave it.
        certain: codes that prove that nothing was appended, on the servers that are tested.
    """
    if answer.code != 0:
        return Outcome("fail" if answer.code in certain else "info", answer.code)
    fields = answer.fields
    return Outcome("ok", 0, broker, int(fields["queueId"]), int(fields["queueOffset"]), fields["msgId"])


class Sender(Protocol):
    """A producer that tries once."""

    async def send(self, topic: str, key: str, body: bytes) -> Outcome:
        """Send one message; messages of one key keep their order."""


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
