"""A broker group that is registered: its replicas, and the queues that it gives topics, each encoded once."""

import msgspec

from ternmq.protocol.routes import BrokerData, QueueData, encode_broker_data, encode_queue_data
from ternmq.protocol.topics import DataVersion, QueueShape

_MAX_SHAPES = 4_096

Encoded = tuple[bytes, bytes]
"""A part of an answer in both forms: as for older clients, and in standard JSON; see `wants_standard_json`."""


class GroupQueues(msgspec.Struct, eq=False, gc=False):
    """Queues of a topic on a group; topics whose queues there are alike share one.

    Millions of references to them are no work for the garbage collector, which would stop the event loop for that long:
    the only ring that they are part of, with their group's table of them, is opened by `BrokerGroup.leave`.

    Args:
        group: the group.
        shape: what routes say of them.
        parts: encoded, once somebody asked.
    """

    group: "BrokerGroup"
    shape: QueueShape
    parts: Encoded | None = None

    def data(self) -> QueueData:
        """Give them as routes name them."""
        shape = self.shape
        return QueueData(
            self.group.name, shape.perm, shape.read_queue_nums, shape.topic_sys_flag, shape.write_queue_nums
        )

    def encoded(self) -> Encoded:
        """Give them in both forms."""
        if self.parts is None:
            data = self.data()
            self.parts = (encode_queue_data(data, standard=False), encode_queue_data(data, standard=True))
        return self.parts


class BrokerGroup:
    """The replicas of a group, from the first one's registration until the last one is gone.

    A group that comes back is another object: what the one before has left in the table does not count for it.

    Args:
        name: broker name.
        cluster: cluster name.

    Attributes:
        addresses: broker id to "host:port".
        acting_master: what the last registration said of `enableActingMaster`.
        zone: zone name.
        applied: version of the topics that were applied last.
        group_id: what it was founded as; empty while no replica has said that.
        is_gone: whether the last replica is gone; what it held is not shown from then on.
    """

    __slots__ = (
        "_encoded",
        "_queues",
        "acting_master",
        "addresses",
        "applied",
        "cluster",
        "group_id",
        "is_gone",
        "name",
        "zone",
    )

    def __init__(self, name: str, cluster: str) -> None:
        self.name = name
        self.cluster = cluster
        self.addresses: dict[int, str] = {}
        self.acting_master = False
        self.zone: str | None = None
        self.applied: DataVersion | None = None
        self.group_id = ""
        self.is_gone = False
        self._encoded: Encoded | None = None
        self._queues: dict[QueueShape, GroupQueues] = {}

    def enter(self, broker_id: int, address: str, cluster: str, zone: str | None, *, acting_master: bool) -> bool:
        """Put id and address in; an address has one id, so an elected slave loses its old one.

        Returns:
            Whether routes say anything else now.
        """
        before = self.data()
        self.cluster, self.zone, self.acting_master = cluster, zone, acting_master
        self._drop(address)
        self.addresses[broker_id] = address
        self._encoded = None
        return before != self.data()

    def leave(self, address: str) -> bool:
        """Take an address out; says whether it was in."""
        left = self._drop(address)
        if left:
            self._encoded = None
        if not self.addresses:
            self.is_gone = True
            self._queues.clear()
        return left

    def _drop(self, address: str) -> bool:
        numbers = [number for number, known in self.addresses.items() if known == address]
        for number in numbers:
            del self.addresses[number]
        return bool(numbers)

    def data(self) -> BrokerData:
        """Give the addresses as routes name them."""
        return BrokerData(dict(sorted(self.addresses.items())), self.name, self.cluster, self.acting_master, self.zone)

    def encoded(self) -> Encoded:
        """Give them in both forms."""
        if self._encoded is None:
            data = self.data()
            self._encoded = (encode_broker_data(data, standard=False), encode_broker_data(data, standard=True))
        return self._encoded

    def queues(self, shape: QueueShape) -> GroupQueues:
        """Give the queues of this shape, which are always the same object while there are not too many shapes."""
        queues = self._queues.get(shape)
        if queues is None:
            queues = GroupQueues(self, shape)
            if not self.is_gone:
                if len(self._queues) >= _MAX_SHAPES:
                    self._queues.clear()
                self._queues[shape] = queues
        return queues
