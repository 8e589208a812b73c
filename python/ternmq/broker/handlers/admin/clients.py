"""Connected clients: consumers (203) and producers (204) of a group."""

from collections.abc import Callable

from ternmq.broker.engine import Engine
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.connections import ConsumerConnection, ProducerConnection, connections, subscription
from ternmq.protocol.fields import text_field
from ternmq.remoting import Reply, Request


class ClientHandlers:
    """Requests about clients that are connected here. Clients connect to every replica, so each can answer.

    Args:
        engine: what knows them.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    def consumers(self, request: Request) -> Reply:
        """203: members and subscriptions of a consumer group; 206 if no member is connected."""
        group = text_field(request.fields, "consumerGroup")
        found = self._engine().consumers(group)
        if found is None:
            return Reply(ResponseCode.CONSUMER_NOT_ONLINE, f"the consumer group[{group}] not online")
        model, consume_type, consume_from, members, subscriptions = found
        body = ConsumerConnection(
            connections(members),
            consume_from,
            consume_type,
            model,
            {row[0]: subscription(*row) for row in subscriptions},
        )
        return Reply(body=body.encode())

    def producers(self, request: Request) -> Reply:
        """204: members of a producer group; 1 if no member is connected."""
        group = text_field(request.fields, "producerGroup")
        members = self._engine().producers(group)
        if not members:
            return Reply(ResponseCode.SYSTEM_ERROR, f"the producer group[{group}] not exist")
        return Reply(body=ProducerConnection(connections(members)).encode())
