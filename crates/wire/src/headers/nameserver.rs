//! Brokers at a name server: registration, liveness, members, write permission (103, 104, 205, 322, 327, 901, 904).

use super::declare::header;

header! {
    /// 103: a broker registers.
    RegisterBrokerRequest<'a> {
        /// Broker name, that is, group.
        broker_name: &'a str = b"brokerName",
        /// Address for clients.
        broker_address: &'a str = b"brokerAddr",
        /// Cluster.
        cluster_name: &'a str = b"clusterName",
        /// Address of the HA stream.
        ha_server_address: Option<&'a str> = b"haServerAddr",
        /// 0 for the master.
        broker_id: i64 = b"brokerId",
        /// Is the body compressed?
        compressed: Option<bool> = b"compressed",
        /// CRC of the body as transmitted; 0: not to be checked.
        body_crc: Option<i32> = b"bodyCrc32",
        /// After how long a silence the registration ends (5.x).
        heartbeat_timeout_ms: Option<i64> = b"heartbeatTimeoutMillis",
        /// That it is there at all marks a 5.x broker.
        enable_acting_master: Option<bool> = b"enableActingMaster",
        /// Extension: term of the leader that registers.
        term: Option<i64> = b"ternTerm",
    }
}

header! {
    /// Answer to 103; filled for slaves.
    RegisterBrokerResponse<'a> {
        /// Address of the master's HA stream.
        ha_server_address: Option<&'a str> = b"haServerAddr",
        /// Address of the master.
        master_address: Option<&'a str> = b"masterAddr",
    }
}

header! {
    /// 104: a broker leaves.
    UnregisterBroker<'a> {
        /// Broker name.
        broker_name: &'a str = b"brokerName",
        /// Address for clients.
        broker_address: &'a str = b"brokerAddr",
        /// Cluster.
        cluster_name: &'a str = b"clusterName",
        /// Broker id.
        broker_id: i64 = b"brokerId",
    }
}

header! {
    /// 322: is this topic version the one you have? The version is in the body.
    QueryDataVersionRequest<'a> {
        /// Broker name.
        broker_name: &'a str = b"brokerName",
        /// Address for clients.
        broker_address: &'a str = b"brokerAddr",
        /// Cluster.
        cluster_name: &'a str = b"clusterName",
        /// Broker id.
        broker_id: Option<i64> = b"brokerId",
        /// Extension: term of the leader that asks.
        term: Option<i64> = b"ternTerm",
    }
}

header! {
    /// Answer to 322.
    QueryDataVersionResponse {
        /// Is it another, so that the broker should register?
        changed: bool = b"changed",
    }
}

header! {
    /// 904: a broker is alive.
    BrokerHeartbeat<'a> {
        /// Cluster.
        cluster_name: &'a str = b"clusterName",
        /// Address for clients.
        broker_address: &'a str = b"brokerAddr",
        /// Broker name.
        broker_name: &'a str = b"brokerName",
        /// Broker id.
        broker_id: Option<i64> = b"brokerId",
        /// For controllers.
        epoch: Option<i32> = b"epoch",
        /// For controllers.
        max_offset: Option<i64> = b"maxOffset",
        /// For controllers.
        confirm_offset: Option<i64> = b"confirmOffset",
        /// For controllers; spelled otherwise than in a registration.
        heartbeat_timeout_ms: Option<i64> = b"heartbeatTimeoutMills",
        /// For controllers.
        election_priority: Option<i32> = b"electionPriority",
    }
}

header! {
    /// 901: members of one broker name.
    BrokerMemberGroup<'a> {
        /// Cluster.
        cluster_name: &'a str = b"clusterName",
        /// Broker name.
        broker_name: &'a str = b"brokerName",
    }
}

header! {
    /// 205 and 327: take or give write permission.
    BrokerName<'a> {
        /// Broker name.
        broker_name: &'a str = b"brokerName",
    }
}

header! {
    /// Answer to 205.
    WipeWritePermissionResponse {
        /// How many topics it touched.
        wiped_topics: i32 = b"wipeTopicCount",
    }
}

header! {
    /// Answer to 327.
    AddWritePermissionResponse {
        /// How many topics it touched.
        added_topics: i32 = b"addTopicCount",
    }
}
