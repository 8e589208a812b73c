"""Brokers register, ask and leave: 103, 104, 322, 904."""

import logging
from collections.abc import Callable

from ternmq.errors import BodyError, StaleTermError
from ternmq.namesrv.kv_store import ORDER_TOPIC_CONFIG, KvStore
from ternmq.namesrv.route_table import BrokerIdentity, Registration, RouteTable
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import bool_field, int_field, name_field
from ternmq.protocol.registration import body_crc32, decode_register_body
from ternmq.protocol.tables import encode_kv_table
from ternmq.protocol.topics import decode_data_version
from ternmq.remoting import Reply, Request

_log = logging.getLogger(__name__)

# Broker ids are Java longs.
_MAX_ID = (1 << 63) - 1
_MAX_TIMEOUT_MS = 3_600_000


def _identity(request: Request) -> BrokerIdentity:
    fields = request.fields
    return BrokerIdentity(
        name_field(fields, "clusterName"),
        name_field(fields, "brokerName"),
        # 904 need not name it; then the address alone identifies the broker.
        int_field(fields, "brokerId", 0, most=_MAX_ID),
        name_field(fields, "brokerAddr"),
    )


class RegistrationHandlers:
    """Requests of brokers.

    Args:
        table: the routing table.
        kv: where the table of ordered topics comes from.
        now_ms: monotonic time.
        return_order_topics: answer registrations with the table of ordered topics.
    """

    def __init__(
        self, table: RouteTable, kv: KvStore, now_ms: Callable[[], int], *, return_order_topics: bool = True
    ) -> None:
        self._table = table
        self._kv = kv
        self._now_ms = now_ms
        self._return_order_topics = return_order_topics

    def register(self, request: Request) -> Reply:
        """103: a broker with its whole topic table."""
        broker = _identity(request)
        fields = request.fields
        checksum = int_field(fields, "bodyCrc32", 0)
        if checksum and checksum != body_crc32(request.body):
            return Reply(ResponseCode.SYSTEM_ERROR, "crc32 not match")
        try:
            body = decode_register_body(
                request.body, compressed=bool_field(fields, "compressed"), version=request.version
            )
        except BodyError as error:
            return Reply(ResponseCode.SYSTEM_ERROR, str(error))
        table = body.topic_config_serialize_wrapper
        timeout = int_field(fields, "heartbeatTimeoutMillis", 0, most=_MAX_TIMEOUT_MS)
        registration = Registration(
            broker=broker,
            topics=table.topic_config_table,
            version=table.data_version,
            term=int_field(fields, "ternTerm", table.data_version.state_version),
            ha_address=fields.get("haServerAddr", ""),
            timeout_ms=timeout or None,
            is_current="enableActingMaster" in fields,
            acting_master=bool_field(fields, "enableActingMaster"),
            zone=fields.get("zoneName") or None,
            connection_id=request.connection_id,
        )
        try:
            registered = self._table.register(registration, self._now_ms())
        except StaleTermError as error:
            _log.warning("%s at %s: %s", broker.name, broker.address, error)
            raise
        answer = {}
        if registered.master_address:
            answer = {"haServerAddr": registered.ha_address, "masterAddr": registered.master_address}
        return Reply(fields=answer, body=self._order_topics())

    def _order_topics(self) -> bytes:
        pairs = self._kv.namespace(ORDER_TOPIC_CONFIG) if self._return_order_topics else None
        return encode_kv_table(pairs) if pairs else b""

    def unregister(self, request: Request) -> Reply:
        """104: a broker that stops in order."""
        self._table.unregister(_identity(request))
        return Reply()

    def query_version(self, request: Request) -> Reply:
        """322: whether a broker must send its table again."""
        broker = _identity(request)
        try:
            version = decode_data_version(request.body)
        except BodyError as error:
            return Reply(ResponseCode.SYSTEM_ERROR, str(error))
        changed, known = self._table.query_version(broker, version, self._now_ms(), request.connection_id)
        body = known.encode() if known is not None else b""
        return Reply(fields={"changed": "true" if changed else "false"}, body=body)

    def heartbeat(self, request: Request) -> Reply:
        """904: keeps a broker alive; says nothing about whether it is known, as in Java."""
        self._table.heartbeat(_identity(request), self._now_ms(), request.connection_id)
        return Reply()
