//! How a request went.

super::table::codes! {
    SUCCESS = 0, "Done.";
    SYSTEM_ERROR = 1, "Anything without a code of its own; also an empty consumer list.";
    SYSTEM_BUSY = 2, "Flow control: nothing was done.";
    REQUEST_CODE_NOT_SUPPORTED = 3, "Nobody here serves this request code.";
    TRANSACTION_FAILED = 4, "The transaction failed.";
    FLUSH_DISK_TIMEOUT = 10, "Stored, flush not confirmed.";
    SLAVE_NOT_AVAILABLE = 11, "Stored, no usable slave; or a slave was asked what only a master may do.";
    FLUSH_SLAVE_TIMEOUT = 12, "Stored, slave not confirmed.";
    MESSAGE_ILLEGAL = 13, "Sizes or batch rules are violated.";
    SERVICE_NOT_AVAILABLE = 14, "Not writable here or now; nothing was appended.";
    VERSION_NOT_SUPPORTED = 15, "The sender is too old.";
    NO_PERMISSION = 16, "Permission bits, forbidden topic or group, failed authentication.";
    TOPIC_NOT_EXIST = 17, "No such topic.";
    TOPIC_EXIST_ALREADY = 18, "The topic exists already.";
    PULL_NOT_FOUND = 19, "No new message.";
    PULL_RETRY_IMMEDIATELY = 20, "Nothing matched; go on at `nextBeginOffset`.";
    PULL_OFFSET_MOVED = 21, "The offset is out of range; go on at `nextBeginOffset`.";
    QUERY_NOT_FOUND = 22, "No offset, no index entry, no value.";
    SUBSCRIPTION_PARSE_FAILED = 23, "The filter expression does not parse.";
    SUBSCRIPTION_NOT_EXIST = 24, "The broker does not know this group's subscription.";
    SUBSCRIPTION_NOT_LATEST = 25, "The broker's subscription is older than the client's.";
    SUBSCRIPTION_GROUP_NOT_EXIST = 26, "No such consumer group.";
    FILTER_DATA_NOT_EXIST = 27, "No compiled SQL filter.";
    FILTER_DATA_NOT_LATEST = 28, "The compiled SQL filter is older than the client's.";
    INVALID_PARAMETER = 29, "A header field is missing, malformed or out of range (5.3.2 on).";
    TRANSACTION_SHOULD_COMMIT = 200, "Historic.";
    TRANSACTION_SHOULD_ROLLBACK = 201, "Historic.";
    TRANSACTION_STATE_UNKNOW = 202, "Historic.";
    TRANSACTION_STATE_GROUP_WRONG = 203, "Historic.";
    NO_BUYER_ID = 204, "Unit mode; producers try again.";
    NOT_IN_CURRENT_UNIT = 205, "Unit mode; producers try again.";
    CONSUMER_NOT_ONLINE = 206, "No member of the group is connected.";
    CONSUME_MSG_TIMEOUT = 207, "A call forwarded to a client timed out.";
    NO_MESSAGE = 208, "Pop or ack: no such message.";
    POLLING_FULL = 209, "Pop: too many waiting polls.";
    POLLING_TIMEOUT = 210, "Pop: nothing came in time.";
    BROKER_NOT_EXIST = 211, "No such broker in the container.";
    BROKER_DISPATCH_NOT_COMPLETE = 212, "Internal to brokers.";
    BROADCAST_CONSUMPTION = 213, "Internal to brokers.";
    FLOW_CONTROL = 215, "Pull flow control; clients wait 20 ms.";
    NOT_LEADER_FOR_QUEUE = 501, "Static topics.";
    ILLEGAL_OPERATION = 604, "End of an expired transaction; bad recall handle.";
    GO_AWAY = 1500, "The server drains: reconnect and send again.";
    CONTROLLER_FENCED_MASTER_EPOCH = 2000, "Controller.";
    CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH = 2001, "Controller.";
    CONTROLLER_INVALID_MASTER = 2002, "Controller.";
    CONTROLLER_INVALID_REPLICAS = 2003, "Controller.";
    CONTROLLER_MASTER_NOT_AVAILABLE = 2004, "Controller.";
    CONTROLLER_INVALID_REQUEST = 2005, "Controller.";
    CONTROLLER_BROKER_NOT_ALIVE = 2006, "Controller.";
    CONTROLLER_NOT_LEADER = 2007, "Controller.";
    USER_NOT_EXIST = 3001, "No such user.";
    POLICY_NOT_EXIST = 3002, "No such policy.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_name() {
        assert_eq!(name(0), Some("SUCCESS"));
        assert_eq!(name(-1), None);
    }
}
