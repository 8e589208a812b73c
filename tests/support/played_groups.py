"""Groups whose masters a test plays: each request is noted, and answered by what the test has put there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, cast

from ternmq.admin import GroupMasters
from ternmq.client import BrokerInfo, ClusterInfo
from ternmq.errors import UnreachableError
from ternmq.protocol.tables import encode_group_list, encode_kv_table
from ternmq.remoting import Answer, Endpoint


class Asked(NamedTuple):
    group: str
    code: int
    fields: dict[str, str]
    body: bytes


class PlayedGroups:
    """Two groups with a member each.

    Args:
        readers: topic to the groups that 300 names.
        stats: topic to queue id to end, what 202 answers.
        runtime: what 28 answers, one table a question; the last one stays.
    """

    def __init__(
        self,
        *,
        readers: Mapping[str, list[str]] | None = None,
        stats: Mapping[str, Mapping[int, int]] | None = None,
        runtime: list[dict[str, str]] | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.addresses = {"group-a": "127.0.0.1:1", "group-b": "127.0.0.1:2"}
        self.moved: dict[str, str] = {}
        self.code = 0
        self.readers = dict(readers or {})
        self.stats = dict(stats or {})
        self.runtime = list(runtime or [{}])

    def masters(self, within_s: float = 2.0) -> GroupMasters:
        brokers = {
            name: BrokerInfo(name, "DefaultCluster", {0: address, 2: f"{address}0"})
            for name, address in self.addresses.items()
        }
        return GroupMasters(cast("Endpoint", self), ClusterInfo("127.0.0.1:9876", brokers), within_s)

    async def call(
        self, address: str, code: int, fields: Mapping[str, str] | None = None, body: bytes = b"", timeout: float = 3.0
    ) -> Answer:
        group = next(name for name, first in self.addresses.items() if address.startswith(first))
        master = self.moved.get(group, self.addresses[group])
        if code == 30_001:
            role = "leader" if address == master else "follower"
            return self._answer(json.dumps({"role": role, "term": 2, "member": f"n{address[-1]}"}).encode())
        if group in self.moved and address == self.addresses[group]:
            raise UnreachableError(f"{address} cannot be reached")
        self.asked.append(Asked(group, code, dict(fields or {}), body))
        if self.code:
            return Answer(self.code, 513, "not now", {}, b"")
        return self._answer(self._body(group, code, dict(fields or {})))

    def _body(self, group: str, code: int, fields: Mapping[str, str]) -> bytes:
        if code == 300:
            return encode_group_list(self.readers.get(fields["topic"], []))
        if code == 202:
            topic = fields["topic"]
            table = {
                json.dumps({"brokerName": group, "queueId": queue, "topic": topic}): {
                    "minOffset": 0, "maxOffset": end, "lastUpdateTimestamp": 0,
                }
                for queue, end in self.stats.get(topic, {}).items()
            }  # fmt: skip
            return json.dumps({"offsetTable": table, "topicPutTps": 0}).encode()
        if code == 28:
            return encode_kv_table(self.runtime.pop(0) if len(self.runtime) > 1 else self.runtime[0])
        return b""

    @staticmethod
    def _answer(body: bytes) -> Answer:
        return Answer(0, 513, None, {}, body)
