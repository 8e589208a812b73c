"""The history of a run: one JSON line an event, one writer a process.

Layout of a line: an object with the members of `Event`, those that are null left out. Lines of one writer are in the
order of their times; the lines of several writers are merged by time, which is the machine's monotonic clock and so
comparable between its processes.

Operations, and what they use beside time, process and kind:

| operation | kinds | members |
| --- | --- | --- |
| `send` | invoke | topic, uid, attempt, key, sequence, digest; value = milliseconds for which it is to be held back |
| `send` | ok, fail, info | uid, code; ok: broker, topic; queue, queue_offset, message_id unless it is held back |
| `read` | ok | a reader got this record before the end: topic, broker, queue, queue_offset, uid, digest |
| `subscribe` | ok | from here on, group gets everything of topic; side_by_side where it promises no order |
| `deliver` | ok | the application of group got this message: as `read`, and group, attempt |
| `create_topic` | invoke, ok, fail, info | topic, broker, value = number of queues |
| `commit_offset` | invoke, ok, fail, info | group, topic, broker, queue, queue_offset |
| `max_offset` | ok | sample: queue_offset is the next free offset of the queue, as its leader says |
| `consumer_offset` | ok | sample: queue_offset is the offset that the leader holds for the group |
| `topic_queues` | ok | sample: value is the number of queues that broker shows for topic; 0 says that it is missing |
| `drain_bounds` | ok | after the end: queue_offset is the first, value the next free offset of the queue |
| `drain` | ok | after the end: one record, as `read`, and message_id |
| `fault` | invoke, ok | begin of a fault, and its proven end; process names the fault |

A send is `fail` only when the answer proves that nothing was appended; whatever is neither that nor code 0 is `info`.
Each attempt of a send is an operation of its own with its own uid.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

import msgspec

Kind = Literal["invoke", "ok", "fail", "info"]
Queue = tuple[str, str, int]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a history; the module says which operation uses what."""

    time_ns: int
    process: str
    kind: Kind
    operation: str
    code: int | None = None
    broker: str | None = None
    topic: str | None = None
    queue: int | None = None
    queue_offset: int | None = None
    uid: str | None = None
    attempt: int | None = None
    key: str | None = None
    sequence: int | None = None
    digest: str | None = None
    message_id: str | None = None
    group: str | None = None
    value: int | None = None
    side_by_side: bool = False

    @property
    def queue_ref(self) -> Queue:
        """The queue that the event names.

        Raises:
            ValueError: it names none.
        """
        if self.topic is None or self.broker is None or self.queue is None:
            raise ValueError(f"{self.operation} at {self.time_ns} names no queue")
        return self.topic, self.broker, self.queue


class HistoryWriter:
    """Appends events of one process to a file that nobody else writes.

    Args:
        path: the file; it must not lie on a disk that faults are injected into.
        process: name of the writing process, the default of each event.
        clock_ns: monotonic clock that all writers of a run share.
    """

    def __init__(self, path: Path, process: str, clock_ns: Callable[[], int]) -> None:
        self.process = process
        self._clock_ns = clock_ns
        # Line by line: what was written before the process dies must be readable afterwards.
        self._file: IO[bytes] = path.open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()

    def write(self, kind: Kind, operation: str, *, process: str | None = None, **members: object) -> Event:
        """Write one event with the time of now.

        Args:
            kind: invoke, ok, fail or info.
            operation: see the module.
            process: which one acted, where that is not the writer itself.
            members: the other members of `Event`.

        Returns:
            The event as written.
        """
        event = msgspec.convert(
            {
                "time_ns": self._clock_ns(),
                "process": process or self.process,
                "kind": kind,
                "operation": operation,
                **members,
            },
            Event,
        )
        self._file.write(self._encoder.encode(event) + b"\n")
        return event

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "HistoryWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_history(paths: Iterable[Path]) -> list[Event]:
    """All events of several writers, ordered by time.

    Raises:
        msgspec.DecodeError: a line that is not an event; a torn last line is one too, as writers are never killed.
    """
    return sorted((event for path in paths for event in _lines(path)), key=lambda event: event.time_ns)


def _lines(path: Path) -> Iterator[Event]:
    decoder = msgspec.json.Decoder(Event)
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line)
