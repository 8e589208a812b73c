"""Encoded route answers, kept until the table changes: at ten thousand requests a second, encoding is what costs."""

from ternmq.namesrv.kv_store import ORDER_TOPIC_CONFIG, KvStore
from ternmq.namesrv.route_table import RouteTable
from ternmq.protocol.routes import TopicRouteData


class EncodedRoutes:
    """Bodies of answers to 105.

    Args:
        table: where routes come from.
        kv: where the order of ordered topics comes from.
        with_order: put `orderTopicConf` into answers.
        capacity: bodies kept at most.
    """

    def __init__(self, table: RouteTable, kv: KvStore, *, with_order: bool, capacity: int = 20_000) -> None:
        self._table = table
        self._kv = kv
        self._with_order = with_order
        self._capacity = capacity
        self._generation = (-1, -1)
        self._bodies: dict[tuple[str, bool], bytes] = {}

    def body(self, topic: str, *, standard: bool) -> bytes | None:
        """Give the encoded route of a topic; None where there is none.

        Args:
            topic: name of the topic.
            standard: with quoted broker ids.
        """
        generation = (self._table.generation, self._kv.generation)
        if generation != self._generation:
            self._bodies.clear()
            self._generation = generation
        body = self._bodies.get((topic, standard))
        if body is None:
            body = self._encode(topic, standard)
            if body is not None and len(self._bodies) < self._capacity:
                self._bodies[topic, standard] = body
        return body

    def _encode(self, topic: str, standard: bool) -> bytes | None:
        route = self._table.route(topic)
        if route is None:
            return None
        if self._with_order:
            order = self._kv.get(ORDER_TOPIC_CONFIG, topic)
            route = TopicRouteData(route.broker_datas, route.queue_datas, order)
        return route.encode(standard=standard)
