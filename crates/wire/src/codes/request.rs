//! What a command asks for. Numbers never changed their meaning between 4.9 and 5.x.

super::table::codes! {
    SEND_MESSAGE = 10, "Send, long header names (Go, old clients).";
    PULL_MESSAGE = 11, "Pull from one queue, optional long poll.";
    QUERY_MESSAGE = 12, "Query by key or unique key through the index.";
    QUERY_CONSUMER_OFFSET = 14, "Committed offset of a group in a queue.";
    UPDATE_CONSUMER_OFFSET = 15, "Commit offset (usually one-way).";
    UPDATE_AND_CREATE_TOPIC = 17, "Create or change a topic.";
    UPDATE_AND_CREATE_TOPIC_LIST = 18, "Create or change many topics.";
    GET_ALL_TOPIC_CONFIG = 21, "All topic configs; also slave sync.";
    UPDATE_BROKER_CONFIG = 25, "Change broker config at run time.";
    GET_BROKER_CONFIG = 26, "Dump broker config.";
    GET_BROKER_RUNTIME_INFO = 28, "Table of run-time figures.";
    SEARCH_OFFSET_BY_TIMESTAMP = 29, "Queue offset at a store time.";
    GET_MAX_OFFSET = 30, "Next offset to be written.";
    GET_MIN_OFFSET = 31, "Smallest offset kept.";
    GET_EARLIEST_MSG_STORETIME = 32, "Store time of the oldest message of a queue.";
    VIEW_MESSAGE_BY_ID = 33, "Read one message by commit-log offset.";
    HEART_BEAT = 34, "Register producers and consumers on this connection.";
    UNREGISTER_CLIENT = 35, "Remove the registration of a producer or consumer group.";
    CONSUMER_SEND_MSG_BACK = 36, "Schedule a failed message for retry.";
    END_TRANSACTION = 37, "Commit/rollback half message (one-way).";
    GET_CONSUMER_LIST_BY_GROUP = 38, "Client ids of a group.";
    CHECK_TRANSACTION_STATE = 39, "Ask a producer about a half message (one-way).";
    NOTIFY_CONSUMER_IDS_CHANGED = 40, "Group membership changed (one-way).";
    LOCK_BATCH_MQ = 41, "Lock queues for orderly consumption.";
    UNLOCK_BATCH_MQ = 42, "Release locks (often one-way).";
    GET_ALL_CONSUMER_OFFSET = 43, "All committed offsets, for slaves.";
    GET_ALL_DELAY_OFFSET = 45, "Delay progress, for slaves.";
    CHECK_CLIENT_CONFIG = 46, "Validate a SQL92 subscription.";
    UPDATE_AND_CREATE_ACL_CONFIG = 50, "Old plain ACL: upsert account.";
    DELETE_ACL_CONFIG = 51, "Old plain ACL: delete account.";
    GET_BROKER_CLUSTER_ACL_INFO = 52, "Old plain ACL: version.";
    UPDATE_GLOBAL_WHITE_ADDRS_CONFIG = 53, "Old plain ACL: white list.";
    GET_BROKER_CLUSTER_ACL_CONFIG = 54, "Old plain ACL: dump.";
    GET_TIMER_CHECK_POINT = 60, "Timer checkpoint, for slaves.";
    GET_TIMER_METRICS = 61, "Timer counters.";
    PUT_KV_CONFIG = 100, "Store namespace/key/value.";
    GET_KV_CONFIG = 101, "Read one value.";
    DELETE_KV_CONFIG = 102, "Delete one value.";
    REGISTER_BROKER = 103, "A broker's registration and heartbeat.";
    UNREGISTER_BROKER = 104, "Orderly shutdown.";
    GET_ROUTEINFO_BY_TOPIC = 105, "Route of a topic.";
    GET_BROKER_CLUSTER_INFO = 106, "All brokers and clusters.";
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200, "Create or change a consumer group.";
    GET_ALL_SUBSCRIPTIONGROUP_CONFIG = 201, "All groups; also read by slaves.";
    GET_TOPIC_STATS_INFO = 202, "Min/max/last time per queue.";
    GET_CONSUMER_CONNECTION_LIST = 203, "Online consumers of a group.";
    GET_PRODUCER_CONNECTION_LIST = 204, "Online producers of a group.";
    WIPE_WRITE_PERM_OF_BROKER = 205, "Clear write permission of a broker's topics.";
    GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206, "All topic names.";
    DELETE_SUBSCRIPTIONGROUP = 207, "Delete consumer group.";
    GET_CONSUME_STATS = 208, "Group progress.";
    DELETE_TOPIC_IN_BROKER = 215, "Delete topic.";
    DELETE_TOPIC_IN_NAMESRV = 216, "Forget a topic at a name server.";
    REGISTER_TOPIC_IN_NAMESRV = 217, "Add queue data of one topic.";
    GET_KVLIST_BY_NAMESPACE = 219, "All pairs of a namespace.";
    RESET_CONSUMER_CLIENT_OFFSET = 220, "Consumer must jump to given offsets (one-way).";
    GET_CONSUMER_STATUS_FROM_CLIENT = 221, "Consumer reports its offset table.";
    INVOKE_BROKER_TO_RESET_OFFSET = 222, "Reset group offsets by time/offset.";
    INVOKE_BROKER_TO_GET_CONSUMER_STATUS = 223, "Collect 221 from all consumers.";
    GET_TOPICS_BY_CLUSTER = 224, "Topics of a cluster.";
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST = 225, "Create or change many groups.";
    QUERY_TOPIC_CONSUME_BY_WHO = 300, "Groups consuming a topic.";
    REGISTER_FILTER_SERVER = 301, "Register a filter server (4.x).";
    REGISTER_MESSAGE_FILTER_CLASS = 302, "Register a filter class (4.x).";
    QUERY_CONSUME_TIME_SPAN = 303, "Time span per queue.";
    GET_SYSTEM_TOPIC_LIST_FROM_NS = 304, "Cluster and broker names.";
    GET_SYSTEM_TOPIC_LIST_FROM_BROKER = 305, "Built-in topics.";
    CLEAN_EXPIRED_CONSUMEQUEUE = 306, "Clean expired consume queues.";
    GET_CONSUMER_RUNNING_INFO = 307, "Forwarded to one client.";
    QUERY_CORRECTION_OFFSET = 308, "Offset comparison between groups.";
    CONSUME_MESSAGE_DIRECTLY = 309, "Have one client consume one message now.";
    SEND_MESSAGE_V2 = 310, "Send, short header names.";
    GET_UNIT_TOPIC_LIST = 311, "Topics of units.";
    GET_HAS_UNIT_SUB_TOPIC_LIST = 312, "Topics for consumers of units.";
    GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST = 313, "Topics for consumers of units that are not of a unit themselves.";
    CLONE_GROUP_OFFSET = 314, "Copy offsets between groups.";
    VIEW_BROKER_STATS_DATA = 315, "One broker statistics item.";
    CLEAN_UNUSED_TOPIC = 316, "Drop queues of vanished topics.";
    GET_BROKER_CONSUME_STATS = 317, "Progress of all groups.";
    UPDATE_NAMESRV_CONFIG = 318, "Change NameServer config.";
    GET_NAMESRV_CONFIG = 319, "Dump NameServer config.";
    SEND_BATCH_MESSAGE = 320, "Batch send (short names).";
    QUERY_CONSUME_QUEUE = 321, "Dump consume-queue entries.";
    QUERY_DATA_VERSION = 322, "Ask whether a topic version is the one known.";
    RESUME_CHECK_HALF_MESSAGE = 323, "Re-arm checks of a half message.";
    SEND_REPLY_MESSAGE = 324, "Reply, long names (Go).";
    SEND_REPLY_MESSAGE_V2 = 325, "Reply, short names.";
    PUSH_REPLY_MESSAGE_TO_CLIENT = 326, "Deliver reply to the requester.";
    ADD_WRITE_PERM_OF_BROKER = 327, "Undo [`WIPE_WRITE_PERM_OF_BROKER`].";
    GET_ALL_PRODUCER_INFO = 328, "All producers.";
    DELETE_EXPIRED_COMMITLOG = 329, "Clean expired commit logs.";
    QUERY_TOPICS_BY_CONSUMER = 343, "Topics with offsets of a group.";
    QUERY_SUBSCRIPTION_BY_CONSUMER = 345, "Live subscription.";
    GET_TOPIC_CONFIG = 351, "One topic config.";
    GET_SUBSCRIPTIONGROUP_CONFIG = 352, "One group.";
    UPDATE_AND_GET_GROUP_FORBIDDEN = 353, "Forbid/allow reading.";
    CHECK_ROCKSDB_CQ_WRITE_PROGRESS = 354, "Progress of consume queues in `RocksDB`.";
    EXPORT_ROCKSDB_CONFIG_TO_JSON = 355, "Export of `RocksDB` configuration.";
    LITE_PULL_MESSAGE = 361, "Pull of the lite consumer.";
    RECALL_MESSAGE = 370, "Recall a timer message.";
    QUERY_ASSIGNMENT = 400, "Broker-side rebalance / pull-or-pop mode.";
    SET_MESSAGE_REQUEST_MODE = 401, "Set pull/pop per topic+group.";
    GET_ALL_MESSAGE_REQUEST_MODE = 402, "Request modes for a slave.";
    UPDATE_AND_CREATE_STATIC_TOPIC = 513, "Static topic mapping.";
    GET_BROKER_MEMBER_GROUP = 901, "Replicas of one broker name.";
    ADD_BROKER = 902, "Start a broker in a container.";
    REMOVE_BROKER = 903, "Stop a broker in a container.";
    BROKER_HEARTBEAT = 904, "Light heartbeat of a broker.";
    NOTIFY_MIN_BROKER_ID_CHANGE = 905, "Acting-master election hint (one-way).";
    EXCHANGE_BROKER_HA_INFO = 906, "Slave asks/sets master HA address.";
    GET_BROKER_HA_STATUS = 907, "HA runtime info.";
    RESET_MASTER_FLUSH_OFFSET = 908, "Set the flush offset of the master.";
    CONTROLLER_ALTER_SYNC_STATE_SET = 1001, "Change a group's in-sync set.";
    CONTROLLER_ELECT_MASTER = 1002, "Elect a master.";
    CONTROLLER_REGISTER_BROKER = 1003, "Register a broker with the controller.";
    CONTROLLER_GET_REPLICA_INFO = 1004, "Replicas of a group.";
    CONTROLLER_GET_METADATA_INFO = 1005, "Controller leader/peers.";
    CONTROLLER_GET_SYNC_STATE_DATA = 1006, "In-sync sets.";
    GET_BROKER_EPOCH_CACHE = 1007, "Epochs of a broker.";
    NOTIFY_BROKER_ROLE_CHANGED = 1008, "A broker has a new role.";
    UPDATE_CONTROLLER_CONFIG = 1009, "Change controller configuration.";
    GET_CONTROLLER_CONFIG = 1010, "Dump controller configuration.";
    CLEAN_BROKER_DATA = 1011, "Forget a broker.";
    CONTROLLER_GET_NEXT_BROKER_ID = 1012, "Next broker id.";
    CONTROLLER_APPLY_BROKER_ID = 1013, "Take a broker id.";
    UPDATE_COLD_DATA_FLOW_CTR_CONFIG = 2001, "Set cold data flow control.";
    REMOVE_COLD_DATA_FLOW_CTR_CONFIG = 2002, "Remove cold data flow control.";
    GET_COLD_DATA_FLOW_CTR_INFO = 2003, "Cold data flow control table.";
    SET_COMMITLOG_READ_MODE = 2004, "How commit logs are read.";
    AUTH_CREATE_USER = 3001, "Create a user.";
    AUTH_UPDATE_USER = 3002, "Change a user.";
    AUTH_DELETE_USER = 3003, "Delete a user.";
    AUTH_GET_USER = 3004, "Read a user.";
    AUTH_LIST_USER = 3005, "List users.";
    AUTH_CREATE_ACL = 3006, "Create access rules.";
    AUTH_UPDATE_ACL = 3007, "Change access rules.";
    AUTH_DELETE_ACL = 3008, "Delete access rules.";
    AUTH_GET_ACL = 3009, "Read access rules.";
    AUTH_LIST_ACL = 3010, "List access rules.";
    POP_MESSAGE = 200_050, "Pop.";
    ACK_MESSAGE = 200_051, "Acknowledge one.";
    PEEK_MESSAGE = 200_052, "Read without locking.";
    CHANGE_MESSAGE_INVISIBLETIME = 200_053, "Extend/shorten invisibility.";
    NOTIFICATION = 200_054, "Long-poll: is there a message?";
    POLLING_INFO = 200_055, "Number of waiting polls.";
    POP_ROLLBACK = 200_056, "Roll back pop storage.";
    BATCH_ACK_MESSAGE = 200_151, "Acknowledge many.";
}

/// Undoes what the binary header form does to codes above 32767: it keeps 16 bits. The eight results collide with
/// nothing, so a server can serve pop requests in that form too.
pub(crate) fn widen(code: i32) -> i32 {
    match code {
        3442..=3448 => code - 3442 + POP_MESSAGE,
        3543 => BATCH_ACK_MESSAGE,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_truncated_pop_codes_come_back() {
        for code in (POP_MESSAGE..=POP_ROLLBACK).chain([BATCH_ACK_MESSAGE]) {
            assert_eq!(widen(code & 0xffff), code);
        }
        for code in [0, 310, 3441, 3449, 3542, 3544, -1] {
            assert_eq!(widen(code), code);
        }
    }

    #[test]
    fn a_code_has_its_name() {
        assert_eq!(name(310), Some("SEND_MESSAGE_V2"));
        assert_eq!(name(9999), None);
    }
}
