"""Routes: which brokers hold a topic, and which addresses they have."""

from collections.abc import Iterable
from typing import Any

import msgspec

from ternmq.protocol.codes import STANDARD_JSON_VERSION
from ternmq.protocol.fastjson import decode_as, encode
from ternmq.protocol.topics import Bean

MASTER_ID = 0


class QueueData(Bean, frozen=True):
    """Queues of a topic on one group."""

    broker_name: str
    perm: int = 0
    read_queue_nums: int = 0
    topic_sys_flag: int = 0
    write_queue_nums: int = 0


class BrokerData(Bean, frozen=True):
    """Addresses of a group: broker id to "host:port"; the master has id 0."""

    broker_addrs: dict[int, str]
    broker_name: str
    cluster: str = ""
    enable_acting_master: bool = False
    zone_name: str | None = None

    def master(self) -> str | None:
        """Address of the master, if there is one just now."""
        return self.broker_addrs.get(MASTER_ID)


class TopicRouteData(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to 105."""

    broker_datas: list[BrokerData] = []
    queue_datas: list[QueueData] = []
    order_topic_conf: str | None = None

    def encode(self, *, standard: bool) -> bytes:
        """Write the body.

        Args:
            standard: quote broker ids; see `wants_standard_json`.
        """
        return join_route(
            (encode_broker_data(data, standard=standard) for data in self.broker_datas),
            (encode_queue_data(data, standard=standard) for data in self.queue_datas),
            self.order_topic_conf,
            standard=standard,
        )


def join_route(
    broker_datas: Iterable[bytes], queue_datas: Iterable[bytes], order_topic_conf: str | None, *, standard: bool
) -> bytes:
    """Write the answer to 105 from parts that are encoded, by which it costs a hundredth.

    Args:
        broker_datas: of `encode_broker_data`.
        queue_datas: of `encode_queue_data`.
        order_topic_conf: order of an ordered topic, or None.
        standard: as the parts were encoded.
    """
    order = b"" if order_topic_conf is None else b'"orderTopicConf":%b,' % encode(order_topic_conf, standard=standard)
    return b'{"brokerDatas":[%b],"filterServerTable":{},%b"queueDatas":[%b]}' % (
        b",".join(broker_datas),
        order,
        b",".join(queue_datas),
    )


def encode_broker_data(data: BrokerData, *, standard: bool) -> bytes:
    """Write what a route says of a group's addresses."""
    return encode(broker_data_members(data), standard=standard)


def encode_queue_data(data: QueueData, *, standard: bool) -> bytes:
    """Write what a route says of a topic's queues on one group."""
    return encode(msgspec.to_builtins(data), standard=standard)


def wants_standard_json(version: int, accept_standard_json_only: str | None) -> bool:
    """Say in which form a client reads routes: older Go clients drop brokers whose ids are quoted.

    Args:
        version: ordinal of the client.
        accept_standard_json_only: header field of that name, or None.
    """
    return version >= STANDARD_JSON_VERSION or (accept_standard_json_only or "").lower() == "true"


def broker_data_members(data: BrokerData) -> dict[str, Any]:
    """Give the members of a BrokerData in wire order, ids in ascending order."""
    return {
        "brokerAddrs": dict(sorted(data.broker_addrs.items())),
        "brokerName": data.broker_name,
        "cluster": data.cluster,
        "enableActingMaster": data.enable_acting_master,
        "zoneName": data.zone_name,
    }


def decode_route(raw: bytes) -> TopicRouteData:
    """Read the body of a route in either form.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, TopicRouteData, "TopicRouteData")
