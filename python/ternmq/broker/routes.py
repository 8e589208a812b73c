"""Request code to handler of the control plane, one row each. What clients send is the engine's."""

from ternmq.broker.handlers.admin.replica import ReplicaHandlers
from ternmq.broker.handlers.admin.runtime import RuntimeHandlers
from ternmq.broker.handlers.admin.topics import TopicHandlers
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Route


def admin_routes(topics: TopicHandlers, runtime: RuntimeHandlers, replica: ReplicaHandlers) -> dict[int, Route]:
    """Give the table; its codes are declared to the engine, which answers 3 to any other that it does not serve."""
    return {
        RequestCode.UPDATE_AND_CREATE_TOPIC: topics.create,
        RequestCode.GET_BROKER_RUNTIME_INFO: runtime.show,
        RequestCode.GET_REPLICA_STATUS: replica.status,
        RequestCode.TRANSFER_LEADER: replica.transfer,
    }
