"""Topic lists and changes: 205, 206, 216, 217, 224, 304, 311 to 313, 327."""

from ternmq.errors import BodyError, HeaderError
from ternmq.namesrv.route_table import RouteTable
from ternmq.namesrv.table_turns import TableTurns, in_slices
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import name_field
from ternmq.protocol.names import topic_problem
from ternmq.protocol.routes import decode_route
from ternmq.protocol.tables import encode_topic_list
from ternmq.protocol.topics import SYS_FLAG_UNIT, SYS_FLAG_UNIT_SUB
from ternmq.remoting import Reply, Request


def _topic(request: Request) -> str:
    topic = name_field(request.fields, "topic")
    problem = topic_problem(topic)
    if problem is not None:
        raise HeaderError(problem)
    return topic


class NameServerTopicHandlers:
    """Requests of tools about topics.

    Args:
        table: the routing table.
        turns: who may change it now.
    """

    def __init__(self, table: RouteTable, turns: TableTurns) -> None:
        self._table = table
        self._turns = turns

    def all_topics(self, request: Request) -> Reply:
        """206."""
        return Reply(body=encode_topic_list(self._table.topics()))

    def topics_of_cluster(self, request: Request) -> Reply:
        """224."""
        cluster = name_field(request.fields, "cluster")
        return Reply(body=encode_topic_list(self._table.topics_of_cluster(cluster)))

    def system_topics(self, request: Request) -> Reply:
        """304: cluster and broker names, which are topics too."""
        names, address = self._table.system_names()
        return Reply(body=encode_topic_list(names, address))

    def unit_topics(self, request: Request) -> Reply:
        """311."""
        return Reply(body=encode_topic_list(self._table.topics_with_flags(SYS_FLAG_UNIT)))

    def unit_sub_topics(self, request: Request) -> Reply:
        """312."""
        return Reply(body=encode_topic_list(self._table.topics_with_flags(SYS_FLAG_UNIT_SUB)))

    def unit_sub_only_topics(self, request: Request) -> Reply:
        """313."""
        return Reply(body=encode_topic_list(self._table.topics_with_flags(SYS_FLAG_UNIT_SUB, SYS_FLAG_UNIT)))

    async def add_topic(self, request: Request) -> Reply:
        """217: queues of one topic, from a broker that does not want to send its whole table.

        One of ours names itself, so that it can say that it has none any more.
        """
        topic = _topic(request)
        try:
            route = decode_route(request.body)
        except BodyError as error:
            return Reply(ResponseCode.SYSTEM_ERROR, str(error))
        broker = request.fields.get("brokerName")
        async with self._turns.turn():
            self._table.add_topic(topic, route.queue_datas)
            if broker and not route.queue_datas:
                self._table.miss_topic(topic, broker)
        return Reply()

    async def delete_topic(self, request: Request) -> Reply:
        """216: registrations never remove a topic, so a tool says it to every NameServer."""
        topic = _topic(request)
        async with self._turns.turn():
            self._table.delete_topic(topic, request.fields.get("clusterName") or None)
        return Reply()

    async def wipe_write_permission(self, request: Request) -> Reply:
        """205."""
        name = name_field(request.fields, "brokerName")
        async with self._turns.turn():
            count = await in_slices(self._table.wiping_write_permission(name))
        return Reply(fields={"wipeTopicCount": str(count)})

    async def add_write_permission(self, request: Request) -> Reply:
        """327."""
        name = name_field(request.fields, "brokerName")
        async with self._turns.turn():
            count = await in_slices(self._table.adding_write_permission(name))
        return Reply(fields={"addTopicCount": str(count)})
