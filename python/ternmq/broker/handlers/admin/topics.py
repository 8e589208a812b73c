"""Topics: create and change (17, 18), create by use (30003), delete (215), show (21, 351)."""

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

import msgspec

from ternmq.broker.changes import Change, Changes
from ternmq.broker.engine import Engine, topic_config
from ternmq.broker.handlers.admin.paging import page
from ternmq.broker.topic_attributes import apply_attributes
from ternmq.errors import HeaderError, MQError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import bool_field, int_field, text_field
from ternmq.protocol.names import is_system_topic, topic_problem
from ternmq.protocol.topics import DataVersion, TopicConfig, decode_topic_configs, topic_table
from ternmq.remoting import Reply, Request

# What an operator may ask for. A group's state holds four times as many (`_core.MAX_QUEUES`), so this can grow.
MAX_ASKED_QUEUES = 16_384
MAX_PERM = 7
MAX_SYS_FLAG = 3
# Each is a proposal of its own.
MAX_TOPICS_AT_ONCE = 1_000
_FORWARDED = "ternPassedOn"
ForwardToLeader = Callable[[str, Request], Awaitable[Reply]]
"""Sends a request to an address and gives the answer."""
Announce = Callable[[Collection[str]], Awaitable[object]]
"""Waits, for a bounded time, until the NameServers show these topics as they are now."""
FILTER_TYPES = ("SINGLE_TAG", "MULTI_TAG")


class _Wanted(NamedTuple):
    """A topic as it is asked for; attributes as in the header field of 17."""

    name: str
    read: int
    write: int
    perm: int
    sys_flag: int
    order: bool
    filter_type: str
    attributes: str


class TopicHandlers:
    """Requests about topics.

    Args:
        engine: what knows and changes them.
        changes: the way to change them.
        term: gives the term that versions of the table carry.
        own_names: topics named after cluster and group, which belong to the broker.
        forward_to_leader: sends a request to another replica.
        announce: brings changes to the NameServers.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        changes: Changes,
        term: Callable[[], int],
        own_names: frozenset[str],
        forward_to_leader: ForwardToLeader,
        announce: Announce,
    ) -> None:
        self._engine = engine
        self._changes = changes
        self._term = term
        self._own_names = own_names
        self._forward_to_leader = forward_to_leader
        self._announce = announce

    async def create(self, request: Request) -> Reply:
        """17: create a topic or change it; answered when the change is committed, applied here, and announced.

        Its creator uses it next, so the NameServers that answer have it by then, as with Apache.

        Source: RocketMQ 5.x, AdminBrokerProcessor#updateAndCreateTopic, which registers before it answers.
        """
        fields = request.fields
        topic = self._may_change(text_field(fields, "topic"))
        wanted = _Wanted(
            topic,
            int_field(fields, "readQueueNums", least=1, most=MAX_ASKED_QUEUES),
            int_field(fields, "writeQueueNums", least=1, most=MAX_ASKED_QUEUES),
            int_field(fields, "perm", least=0, most=MAX_PERM),
            int_field(fields, "topicSysFlag", 0, least=0, most=MAX_SYS_FLAG),
            bool_field(fields, "order"),
            _filter_type(fields.get("topicFilterType") or FILTER_TYPES[0]),
            fields.get("attributes", ""),
        )
        return await self._put([wanted])

    async def create_many(self, request: Request) -> Reply:
        """18: create or change topics; all are checked before the first is proposed.

        Source: RocketMQ 5.x, AdminBrokerProcessor#updateAndCreateTopicList.
        """
        configs = decode_topic_configs(request.body)
        if len(configs) > MAX_TOPICS_AT_ONCE:
            raise HeaderError(f"{len(configs)} topics in one request, the limit is {MAX_TOPICS_AT_ONCE}")
        return await self._put([self._wanted(config) for config in configs])

    async def use(self, request: Request) -> Reply:
        """30003: create a topic as a first send to it would, if there is none; answered as 17 is.

        A producer asks every group before its first send, so that the topic is on all of them. It cannot ask by 17,
        which changes a topic that is there: a NameServer that has just started knows few.
        """
        topic = self._may_change(text_field(request.fields, "topic"))
        queues = int_field(request.fields, "queues", least=1, most=MAX_ASKED_QUEUES)
        return await self._make([lambda engine, number: engine.use_topic(number, topic, queues)], [topic])

    async def delete(self, request: Request) -> Reply:
        """215: delete a topic; one that is not there is deleted already.

        Tools send it to every replica and give up at the first that refuses, so a follower forwards it to its leader,
        and answers what the leader answered.

        Source: RocketMQ 5.x, AdminBrokerProcessor#deleteTopic; mqadmin, DefaultMQAdminExtImpl#deleteTopic.
        """
        topic = self._may_change(request.fields.get("topic", ""))
        refusal = self._changes.refusal()
        leader = refusal.fields.get("leaderAddr") if refusal is not None and refusal.fields else None
        # Forwarded once: a replica that was asked by a follower does not ask another one.
        if leader is not None and _FORWARDED not in request.fields:
            return await self._forward_to_leader(leader, request._replace(fields=request.fields | {_FORWARDED: "true"}))
        return await self._make([lambda engine, number: engine.delete_topic(number, topic)], [topic])

    def all(self, request: Request) -> Reply:
        """21: all topics, or a page of them."""
        engine = self._engine()
        # Version before table, as in registrations: a topic that comes in between shows early, never late.
        counter, changed_ms = engine.topic_version()
        version = DataVersion(counter, self._term(), changed_ms)
        rows = {row[0]: topic_config(row) for row in engine.topics()}
        shown = page(rows, version, request.fields, "topicSeq", "maxTopicNum")
        return Reply(fields={"totalTopicNum": str(len(rows))}, body=topic_table(shown, version).encode())

    def one(self, request: Request) -> Reply:
        """351: the configuration of one topic."""
        topic = text_field(request.fields, "topic")
        return Reply(body=msgspec.json.encode(find_topic(self._engine(), topic)))

    async def _put(self, topics: list[_Wanted]) -> Reply:
        refusal = self._changes.refusal()
        if refusal is not None:
            return refusal
        engine = self._engine()
        known: dict[str, dict[str, str]] = {}
        changes = []
        for wanted in topics:
            row = engine.topic(wanted.name)
            before = known.get(wanted.name, None if row is None else dict(row[7]))
            attributes = known[wanted.name] = apply_attributes(before, wanted.attributes)
            changes.append(_put_topic(wanted, attributes))
        return await self._make(changes, known.keys())

    async def _make(self, changes: list[Change], topics: Collection[str]) -> Reply:
        reply = await self._changes.make(changes)
        if reply.code == ResponseCode.SUCCESS:
            await self._announce(topics)
        return reply

    def _may_change(self, topic: str) -> str:
        problem = topic_problem(topic)
        if problem is not None:
            raise HeaderError(problem)
        if is_system_topic(topic) or topic in self._own_names:
            raise HeaderError(f"The topic[{topic}] is conflict with system topic.")
        return topic

    def _wanted(self, config: TopicConfig) -> _Wanted:
        name = self._may_change(config.topic_name)
        # The same rules as for the header of 17, and their sentences.
        numbers = {
            "readQueueNums": (config.read_queue_nums, 1, MAX_ASKED_QUEUES),
            "writeQueueNums": (config.write_queue_nums, 1, MAX_ASKED_QUEUES),
            "perm": (config.perm, 0, MAX_PERM),
            "topicSysFlag": (config.topic_sys_flag, 0, MAX_SYS_FLAG),
        }
        for field, (value, least, most) in numbers.items():
            if not least <= value <= most:
                raise HeaderError(f"{field} of {name} is {value}, outside {least} to {most}")
        attributes = ",".join(
            key if key.startswith("-") else f"{key}={value}" for key, value in config.attributes.items()
        )
        return _Wanted(
            name,
            config.read_queue_nums,
            config.write_queue_nums,
            config.perm,
            config.topic_sys_flag,
            config.order,
            _filter_type(config.topic_filter_type),
            attributes,
        )


def find_topic(engine: Engine, topic: str) -> TopicConfig:
    """Give the configuration of a topic.

    Raises:
        MQError: no such topic (17), or this replica knows nothing yet (14).
    """
    row = engine.topic(topic)
    if row is not None:
        return topic_config(row)
    if not engine.topics():
        raise MQError("this replica is starting", code=ResponseCode.SERVICE_NOT_AVAILABLE)
    remark = f"No topic in this broker. topic: {topic}"
    raise MQError(remark, code=ResponseCode.TOPIC_NOT_EXIST, remark=remark)


def _filter_type(text: str) -> str:
    if text not in FILTER_TYPES:
        raise HeaderError(f"the field topicFilterType is neither {' nor '.join(FILTER_TYPES)}")
    return text


def _put_topic(wanted: _Wanted, attributes: dict[str, str]) -> Change:
    return lambda engine, number: engine.put_topic(number, *wanted[:7], attributes)
