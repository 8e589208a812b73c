"""Who is registered: clusters, brokers, members of a group."""

from collections.abc import Mapping

import msgspec

from ternmq.protocol.fastjson import decode_as, encode
from ternmq.protocol.routes import BrokerData, broker_data_members, encode_broker_data


class ClusterInfoBody(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to 106: groups by name, group names by cluster."""

    broker_addr_table: dict[str, BrokerData] = {}
    cluster_addr_table: dict[str, list[str]] = {}

    def encode(self) -> bytes:
        """Write the body; broker ids are unquoted for every client, as Java has it."""
        parts = {name: encode_broker_data(data, standard=False) for name, data in self.broker_addr_table.items()}
        return join_cluster_info(parts, self.cluster_addr_table)


def join_cluster_info(broker_datas: Mapping[str, bytes], clusters: Mapping[str, list[str]]) -> bytes:
    """Write the answer to 106 from groups that are encoded.

    Args:
        broker_datas: of `encode_broker_data`, not standard, by name of the group.
        clusters: names of groups by cluster.
    """
    table = b",".join(b"%b:%b" % (encode(name), data) for name, data in broker_datas.items())
    return b'{"brokerAddrTable":{%b},"clusterAddrTable":%b}' % (table, encode(dict(clusters)))


def decode_cluster_info(raw: bytes) -> ClusterInfoBody:
    """Read the answer to 106.

    Raises:
        BodyError: not readable.
    """
    return decode_as(raw, ClusterInfoBody, "ClusterInfo")


class _MemberGroup(msgspec.Struct, frozen=True, rename="camel"):
    broker_addrs: dict[int, str] = {}
    broker_name: str = ""
    cluster: str = ""


class _MemberGroupBody(msgspec.Struct, frozen=True, rename="camel"):
    broker_member_group: _MemberGroup


def encode_member_group(data: BrokerData) -> bytes:
    """Write the answer to 901."""
    members = broker_data_members(data)
    return encode({"brokerMemberGroup": {key: members[key] for key in ("brokerAddrs", "brokerName", "cluster")}})


def decode_member_group(raw: bytes) -> BrokerData:
    """Read the answer to 901.

    Raises:
        BodyError: not readable.
    """
    group = decode_as(raw, _MemberGroupBody, "BrokerMemberGroup").broker_member_group
    return BrokerData(group.broker_addrs, group.broker_name, group.cluster)
