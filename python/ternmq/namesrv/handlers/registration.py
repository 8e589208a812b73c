"""Brokers register, ask and leave: 103, 104, 322, 904."""

import asyncio
import logging
from collections.abc import Callable

from ternmq.errors import BodyError, NameTakenError, StaleTermError
from ternmq.namesrv.kv_store import ORDER_TOPIC_CONFIG, KvStore
from ternmq.namesrv.route_table import BrokerIdentity, Registration, RouteTable
from ternmq.namesrv.table_turns import TableTurns, in_slices
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import bool_field, int_field, name_field
from ternmq.protocol.registration import ShapeTable, body_crc32, decode_shapes, decoding_plain_shapes
from ternmq.protocol.tables import encode_kv_table
from ternmq.protocol.topics import decode_data_version
from ternmq.remoting import Reply, Request

_log = logging.getLogger(__name__)

# Broker ids are Java longs.
_MAX_ID = (1 << 63) - 1
# Ours has 32 hexadecimal digits.
_MAX_GROUP_ID = 64
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


async def _decoded(request: Request) -> ShapeTable:
    compressed = bool_field(request.fields, "compressed")
    table = None
    if not compressed:
        table = await in_slices(decoding_plain_shapes(request.body, version=request.version))
    if table is None:
        # What is not read natively takes seconds when it is large: in a thread it leaves room for everything else.
        table = await asyncio.to_thread(decode_shapes, request.body, compressed=compressed, version=request.version)
    return table


def _registration(broker: BrokerIdentity, table: ShapeTable, request: Request) -> Registration:
    fields = request.fields
    timeout = int_field(fields, "heartbeatTimeoutMillis", 0, most=_MAX_TIMEOUT_MS)
    return Registration(
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
        group_id=fields.get("ternGroup", "")[:_MAX_GROUP_ID],
    )


class RegistrationHandlers:
    """Requests of brokers.

    Args:
        table: the routing table.
        turns: who may change it now.
        kv: where the table of ordered topics comes from.
        now_ms: monotonic time.
        return_order_topics: answer registrations with the table of ordered topics.
    """

    def __init__(
        self,
        table: RouteTable,
        turns: TableTurns,
        kv: KvStore,
        now_ms: Callable[[], int],
        *,
        return_order_topics: bool = True,
    ) -> None:
        self._table = table
        self._turns = turns
        self._kv = kv
        self._now_ms = now_ms
        self._return_order_topics = return_order_topics

    async def register(self, request: Request) -> Reply:
        """103: a broker with its whole topic table; answered when all of its topics are shown."""
        async with self._turns.turn_of(request.connection_id, len(request.body)):
            return await self._register(request)

    async def _register(self, request: Request) -> Reply:
        broker = _identity(request)
        checksum = int_field(request.fields, "bodyCrc32", 0)
        if checksum and checksum != body_crc32(request.body):
            return Reply(ResponseCode.SYSTEM_ERROR, "crc32 not match")
        await asyncio.sleep(0)  # A checksum of some MB is a step, too.
        try:
            body = await _decoded(request)
        except BodyError as error:
            return Reply(ResponseCode.SYSTEM_ERROR, str(error))
        registration = _registration(broker, body, request)
        try:
            registered = await in_slices(self._table.registering(registration, self._now_ms()))
        except (StaleTermError, NameTakenError) as error:
            _log.warning("%s at %s: %s", broker.name, broker.address, error)
            raise
        if self._turns.has_closed(request.connection_id):
            # Perhaps before it was entered, so that the closing did not find it.
            self._table.connection_closed(request.connection_id)
            await in_slices(self._table.settling())
        answer = {}
        if registered.master_address:
            answer = {"haServerAddr": registered.ha_address, "masterAddr": registered.master_address}
        return Reply(fields=answer, body=self._order_topics())

    def _order_topics(self) -> bytes:
        pairs = self._kv.namespace(ORDER_TOPIC_CONFIG) if self._return_order_topics else None
        return encode_kv_table(pairs) if pairs else b""

    async def unregister(self, request: Request) -> Reply:
        """104: a broker that stops in order."""
        async with self._turns.turn():
            self._table.unregister(_identity(request))
            await in_slices(self._table.settling())
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
