"""The final read of a run: every record of every topic from its first offset on, by a reader of its own."""

from fault.outcomes import digest_of, uid_of
from support.speaker import MAX_OFFSET, MIN_OFFSET, PULL, Answer, SpeakerError, ask, decode_records, pull_fields
from support.subject import Subject
from ternmq.chaos.history import HistoryWriter


def drain(subject: Subject, history: HistoryWriter, topics: dict[str, int]) -> None:
    """Read all topics at the master.

    Args:
        subject: a cluster that has healed and takes no more sends.
        history: gets bounds and records.
        topics: name and number of queues.

    Raises:
        SpeakerError: there is no master, or it refuses what it must serve.
    """
    master = subject.master()
    if master is None:
        raise SpeakerError("no master to read from")
    for topic, queues in topics.items():
        for queue in range(queues):
            _drain_queue(subject.address(master), subject.group, history, topic, queue)


def read_followers(subject: Subject, history: HistoryWriter, topics: dict[str, int]) -> None:
    """Read all topics at every other replica: as far as they have got, they must show the same.

    Args:
        subject: the cluster, after `drain`.
        history: gets what they show, as reads.
        topics: name and number of queues.
    """
    master = subject.master()
    for name in subject.brokers:
        for topic, queues in topics.items() if name != master else ():
            for queue in range(queues):
                _read_queue(subject.address(name), subject.group, history, topic, queue)


def _read_queue(address: str, broker: str, history: HistoryWriter, topic: str, queue: int) -> None:
    at = 0
    while True:
        answer = ask(address, PULL, pull_fields(topic, queue, at, "drain"), timeout=10)
        if answer.code != 0:
            return
        for record in decode_records(answer.body):
            history.write(
                "ok", "read", process=f"read {address}", topic=topic, broker=broker, queue=queue,
                queue_offset=record.queue_offset, uid=uid_of(record.body), digest=digest_of(record.body),
            )  # fmt: skip
            at = record.queue_offset + 1


def _drain_queue(address: str, broker: str, history: HistoryWriter, topic: str, queue: int) -> None:
    place = {"topic": topic, "broker": broker, "queue": queue}
    fields = {"topic": topic, "queueId": str(queue)}
    first = int(_served(address, MIN_OFFSET, fields).fields["offset"])
    end = int(_served(address, MAX_OFFSET, fields).fields["offset"])
    history.write("ok", "drain_bounds", process="drain", **place, queue_offset=first, value=end)
    at = first
    while at < end:
        answer = ask(address, PULL, pull_fields(topic, queue, at, "drain"), timeout=10)
        following = int(answer.fields.get("nextBeginOffset", at))
        for record in decode_records(answer.body) if answer.code == 0 else ():
            history.write(
                "ok", "drain", process="drain", **place, queue_offset=record.queue_offset, uid=uid_of(record.body),
                digest=digest_of(record.body), message_id=record.message_id,
            )  # fmt: skip
            following = record.queue_offset + 1
        if following <= at:
            # What is missing here is for the checks to say: go on behind it.
            following = at + 1
        at = following


def _served(address: str, code: int, fields: dict[str, str]) -> Answer:
    answer = ask(address, code, fields)
    if answer.code != 0:
        raise SpeakerError(f"{address} answers {code} for {fields} with {answer.code}: {answer.remark}")
    return answer
