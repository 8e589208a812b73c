"""Who holds what: 105, 106, 901."""

from ternmq.namesrv.encoded_routes import EncodedRoutes
from ternmq.namesrv.route_table import RouteTable
from ternmq.protocol.cluster_info import encode_member_group
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import name_field
from ternmq.protocol.routes import wants_standard_json
from ternmq.remoting import Reply, Request


class RouteHandlers:
    """Requests of clients and tools for addresses.

    Args:
        table: the routing table.
        answers: its encoded routes.
    """

    def __init__(self, table: RouteTable, answers: EncodedRoutes) -> None:
        self._table = table
        self._answers = answers

    def route(self, request: Request) -> Reply:
        """105: queues of a topic and the brokers that hold them."""
        topic = name_field(request.fields, "topic")
        standard = wants_standard_json(request.version, request.fields.get("acceptStandardJsonOnly"))
        body = self._answers.body(topic, standard=standard)
        if body is None:
            return Reply(ResponseCode.TOPIC_NOT_EXIST, f"No topic route info in name server for the topic: {topic}")
        return Reply(body=body)

    def cluster_info(self, request: Request) -> Reply:
        """106: all brokers that are registered."""
        return Reply(body=self._table.encoded_cluster_info())

    def member_group(self, request: Request) -> Reply:
        """901: the replicas of one group."""
        cluster = name_field(request.fields, "clusterName")
        name = name_field(request.fields, "brokerName")
        return Reply(body=encode_member_group(self._table.member_group(cluster, name)))
