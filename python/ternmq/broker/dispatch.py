"""Request code to handler of the control plane, one row each. What clients send is the engine's."""

from dataclasses import dataclass

from ternmq.broker.handlers.admin.clients import ClientHandlers
from ternmq.broker.handlers.admin.groups import GroupHandlers
from ternmq.broker.handlers.admin.replica import ReplicaHandlers
from ternmq.broker.handlers.admin.runtime import RuntimeHandlers
from ternmq.broker.handlers.admin.settings import SettingsHandlers
from ternmq.broker.handlers.admin.statistics import StatisticsHandlers
from ternmq.broker.handlers.admin.topics import TopicHandlers
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Handler


@dataclass(frozen=True)
class AdminHandlers:
    """The handlers, one object a family."""

    topics: TopicHandlers
    groups: GroupHandlers
    statistics: StatisticsHandlers
    clients: ClientHandlers
    settings: SettingsHandlers
    runtime: RuntimeHandlers
    replica: ReplicaHandlers


def admin_dispatch_table(to: AdminHandlers) -> dict[int, Handler]:
    """Give the table; its codes are declared to the engine, which answers 3 to any other that it does not serve."""
    return {
        RequestCode.UPDATE_AND_CREATE_TOPIC: to.topics.create,
        RequestCode.UPDATE_AND_CREATE_TOPIC_LIST: to.topics.create_many,
        RequestCode.GET_ALL_TOPIC_CONFIG: to.topics.all,
        RequestCode.UPDATE_BROKER_CONFIG: to.settings.change,
        RequestCode.GET_BROKER_CONFIG: to.settings.show,
        RequestCode.GET_BROKER_RUNTIME_INFO: to.runtime.show,
        RequestCode.GET_ALL_CONSUMER_OFFSET: to.statistics.all_offsets,
        RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: to.groups.create,
        RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: to.groups.all,
        RequestCode.GET_TOPIC_STATS_INFO: to.statistics.topic,
        RequestCode.GET_CONSUMER_CONNECTION_LIST: to.clients.consumers,
        RequestCode.GET_PRODUCER_CONNECTION_LIST: to.clients.producers,
        RequestCode.DELETE_SUBSCRIPTIONGROUP: to.groups.delete,
        RequestCode.GET_CONSUME_STATS: to.statistics.group,
        RequestCode.DELETE_TOPIC_IN_BROKER: to.topics.delete,
        RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: to.groups.create_many,
        RequestCode.QUERY_TOPIC_CONSUME_BY_WHO: to.statistics.groups_of_topic,
        RequestCode.GET_TOPIC_CONFIG: to.topics.one,
        RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG: to.groups.one,
        RequestCode.GET_REPLICA_STATUS: to.replica.status,
        RequestCode.TRANSFER_LEADER: to.replica.transfer,
        RequestCode.PROMOTE_SLAVE: to.replica.promote,
        RequestCode.USE_TOPIC: to.topics.use,
    }
