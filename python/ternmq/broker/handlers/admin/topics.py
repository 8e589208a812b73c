"""Topics: create and change (17)."""

from collections.abc import Callable

from ternmq.broker.engine import Engine
from ternmq.broker.proposals import Proposals
from ternmq.broker.roles import Roles
from ternmq.broker.topic_attributes import apply_attributes
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import HeaderError, bool_field, int_field, text_field
from ternmq.protocol.names import is_system_topic, topic_problem
from ternmq.remoting import Reply, Request

MAX_QUEUES = 16_384
MAX_PERM = 7
MAX_SYS_FLAG = 3
FILTER_TYPES = ("SINGLE_TAG", "MULTI_TAG")


class TopicHandlers:
    """Requests about topics.

    Args:
        engine: what knows and changes them.
        roles: who leads.
        proposals: waits for outcomes.
        own_names: topics named after cluster and group, which belong to the broker.
    """

    def __init__(
        self, engine: Callable[[], Engine], roles: Roles, proposals: Proposals, own_names: frozenset[str]
    ) -> None:
        self._engine = engine
        self._roles = roles
        self._proposals = proposals
        self._own_names = own_names

    async def create(self, request: Request) -> Reply:
        """17: create a topic or change it; answered when the change is committed and applied here.

        Source: RocketMQ 5.x, AdminBrokerProcessor#updateAndCreateTopic.
        """
        fields = request.fields
        topic = text_field(fields, "topic")
        problem = topic_problem(topic)
        if problem is not None:
            raise HeaderError(problem)
        if is_system_topic(topic) or topic in self._own_names:
            raise HeaderError(f"The topic[{topic}] is conflict with system topic.")
        read = int_field(fields, "readQueueNums", least=1, most=MAX_QUEUES)
        write = int_field(fields, "writeQueueNums", least=1, most=MAX_QUEUES)
        perm = int_field(fields, "perm", least=0, most=MAX_PERM)
        sys_flag = int_field(fields, "topicSysFlag", 0, least=0, most=MAX_SYS_FLAG)
        order = bool_field(fields, "order")
        filter_type = fields.get("topicFilterType") or FILTER_TYPES[0]
        if filter_type not in FILTER_TYPES:
            raise HeaderError(f"the header field topicFilterType is neither {' nor '.join(FILTER_TYPES)}")
        if not self._roles.current.is_leader:
            return self._roles.not_leader()
        engine = self._engine()
        attributes = apply_attributes(_attributes_of(engine, topic), fields.get("attributes", ""))
        verdict = await self._proposals.propose(
            lambda number: engine.put_topic(number, topic, read, write, perm, sys_flag, order, filter_type, attributes)
        )
        if verdict.code == ResponseCode.SERVICE_NOT_AVAILABLE:
            return self._roles.not_leader()._replace(remark=verdict.remark)
        return Reply(verdict.code, verdict.remark)


def _attributes_of(engine: Engine, topic: str) -> dict[str, str] | None:
    """Attributes of a topic that exists, else None."""
    return next((dict(row[7]) for row in engine.topics() if row[0] == topic), None)
