"""Request code to handler, one row each."""

from ternmq.namesrv.handlers.kv import KvHandlers
from ternmq.namesrv.handlers.registration import RegistrationHandlers
from ternmq.namesrv.handlers.routes import RouteHandlers
from ternmq.namesrv.handlers.settings import NameServerSettingsHandlers
from ternmq.namesrv.handlers.topics import NameServerTopicHandlers
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Handler


def nameserver_dispatch_table(
    registration: RegistrationHandlers,
    routes: RouteHandlers,
    topics: NameServerTopicHandlers,
    kv: KvHandlers,
    settings: NameServerSettingsHandlers,
) -> dict[int, Handler]:
    """Give the table of everything that a NameServer answers; other codes get 3."""
    return {
        RequestCode.PUT_KV_CONFIG: kv.put,
        RequestCode.GET_KV_CONFIG: kv.get,
        RequestCode.DELETE_KV_CONFIG: kv.delete,
        RequestCode.REGISTER_BROKER: registration.register,
        RequestCode.UNREGISTER_BROKER: registration.unregister,
        RequestCode.GET_ROUTEINFO_BY_TOPIC: routes.route,
        RequestCode.GET_BROKER_CLUSTER_INFO: routes.cluster_info,
        RequestCode.WIPE_WRITE_PERM_OF_BROKER: topics.wipe_write_permission,
        RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER: topics.all_topics,
        RequestCode.DELETE_TOPIC_IN_NAMESRV: topics.delete_topic,
        RequestCode.REGISTER_TOPIC_IN_NAMESRV: topics.add_topic,
        RequestCode.GET_KVLIST_BY_NAMESPACE: kv.namespace,
        RequestCode.GET_TOPICS_BY_CLUSTER: topics.topics_of_cluster,
        RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS: topics.system_topics,
        RequestCode.GET_UNIT_TOPIC_LIST: topics.unit_topics,
        RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST: topics.unit_sub_topics,
        RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST: topics.unit_sub_only_topics,
        RequestCode.UPDATE_NAMESRV_CONFIG: settings.change,
        RequestCode.GET_NAMESRV_CONFIG: settings.show,
        RequestCode.QUERY_DATA_VERSION: registration.query_version,
        RequestCode.ADD_WRITE_PERM_OF_BROKER: topics.add_write_permission,
        RequestCode.GET_BROKER_MEMBER_GROUP: routes.member_group,
        RequestCode.BROKER_HEARTBEAT: registration.heartbeat,
    }
