//! Fields that any header may carry besides its own.

use super::declare::header;

header! {
    /// What proxies and 5.x clients add so that a request finds its broker.
    Routing<'a> {
        /// Namespace.
        namespace: Option<&'a str> = b"ns",
        /// Is the namespace already part of the names?
        namespaced: Option<bool> = b"nsd",
        /// Name of the broker group that is meant.
        broker_name: Option<&'a str> = b"bname",
        /// Is the request one-way?
        one_way: Option<bool> = b"oway",
        /// Are queue ids those of a static topic?
        logical: Option<bool> = b"lo",
    }
}

header! {
    /// Extension: where the leader is, on an answer 14 of a replica that does not lead.
    LeaderHint<'a> {
        /// Client address of the leader, `host:port`.
        leader_address: Option<&'a str> = b"leaderAddr",
        /// Its term.
        leader_term: Option<i64> = b"leaderTerm",
    }
}
