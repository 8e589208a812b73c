"""How the launcher asks a NameServer which brokers it knows: request 106 over the wire, as any client would."""

from __future__ import annotations

from ternmq.cluster.readiness import AskNameServer, GroupTable
from ternmq.errors import MQError
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Endpoint

_ANSWER_WITHIN_S = 1.0


def asker(endpoint: Endpoint) -> AskNameServer:
    """Make the function that asks one NameServer through an endpoint."""

    async def ask(address: str) -> GroupTable | None:
        try:
            answer = await endpoint.call(address, RequestCode.GET_BROKER_CLUSTER_INFO, timeout=_ANSWER_WITHIN_S)
            if answer.code != 0:
                return None
            table = decode_cluster_info(answer.body).broker_addr_table
        except MQError:
            return None
        return {name: group.broker_addrs for name, group in table.items()}

    return ask
