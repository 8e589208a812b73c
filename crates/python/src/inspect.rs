//! What can be asked about a replica: one queue, messages, one level, one group. Reads, changes nothing; the control plane
//! puts the answers for operators together.

use pyo3::prelude::*;
use tern_broker::routes::{Route, WaitsFor, routes};
use tern_broker::{ClientInfo, Services};
use tern_log::{LogError, QueueEntry};
use tern_state::delay;
use tern_wire::codes::request;
use tern_wire::record::{self, Record};

/// Address, client id, language, version.
pub(crate) type ClientRow = (String, String, &'static str, i32);
/// Topic, expression, kind of expression, version.
pub(crate) type SubscriptionRow = (String, String, &'static str, i64);
/// Model, type, place to begin, members, subscriptions.
pub(crate) type ConsumersRow = (
    &'static str,
    &'static str,
    &'static str,
    Vec<ClientRow>,
    Vec<SubscriptionRow>,
);

/// Oldest offset of a queue and offset of its next message; 0 and 0 where there is none.
pub(crate) fn queue_range(services: &Services, topic: &str, queue_id: u32) -> (u64, u64) {
    topic_id(services, topic).map_or((0, 0), |topic_id| {
        services.views.queues.range(topic_id, queue_id)
    })
}

/// Store times of single messages; 0 where there is none. Reads the log.
pub(crate) fn store_times(
    services: &Services,
    topic: &str,
    places: &[(u32, u64)],
) -> Result<Vec<i64>, LogError> {
    let topic_id = topic_id(services, topic);
    let time = |&(queue_id, offset): &(u32, u64)| match topic_id {
        Some(topic_id) => store_time(services, topic_id, queue_id, offset),
        None => Ok(0),
    };
    places.iter().map(time).collect()
}

/// Store time of the first message in the applied frames from an index on, as many as `max_bytes` hold, none if they hold
/// none; and the index after them, none if no later frame is applied. Reads the log.
pub(crate) fn first_stored(
    services: &Services,
    index: u64,
    max_bytes: usize,
) -> Result<(Option<i64>, Option<u64>), LogError> {
    let views = &services.views;
    let (index, applied) = (index.max(views.log.first_index()), views.applied_index());
    if index > applied {
        return Ok((None, None));
    }
    let frames = views.log.frames(index, max_bytes)?;
    let mut shown = frames.iter().filter(|frame| frame.header.index <= applied);
    let first = shown.find_map(|frame| record::iter(frame.records()).next()?.ok());
    let next = frames.last().map(|last| last.header.index + 1);
    Ok((
        first.map(|record| record.store_timestamp_ms()),
        next.filter(|next| *next <= applied),
    ))
}

/// How many messages of a delay level were put into their topics, and how many were stored; none if it is no level.
pub(crate) fn delay_level(services: &Services, level: u16) -> Option<(u64, u64)> {
    if !(1..=delay::LEVELS).contains(&level) {
        return None;
    }
    let state = services.views.state();
    let stored = state.next_offset(delay::SCHEDULE_TOPIC, delay::level_queue(level));
    Some((state.delay_progress(level), stored))
}

/// All committed offsets of a group.
pub(crate) fn offsets(services: &Services, group: &str) -> Vec<(String, u32, u64)> {
    let state = services.views.state();
    let rows = state.offsets_of_group(group);
    rows.map(|(topic, queue_id, offset)| (topic.config.name.to_string(), queue_id, offset))
        .collect()
}

/// Groups that are connected with a subscription to a topic.
pub(crate) fn subscribers(services: &Services, topic: &str) -> Vec<String> {
    let groups = services.clients.subscribers(topic);
    groups.iter().map(ToString::to_string).collect()
}

/// A consumer group with its members; none if nobody is connected.
pub(crate) fn consumers(services: &Services, group: &str) -> Option<ConsumersRow> {
    let listing = services.clients.consumers(group)?;
    let subscriptions = listing.subscriptions.into_iter().map(|held| {
        let kind = if held.by_tags { "TAG" } else { "SQL92" };
        (held.topic.to_string(), held.expression, kind, held.version)
    });
    Some((
        if listing.broadcasting {
            "BROADCASTING"
        } else {
            "CLUSTERING"
        },
        listing.consume_type,
        listing.consume_from,
        client_rows(&listing.members),
        subscriptions.collect(),
    ))
}

/// Connected producers of a group.
pub(crate) fn producers(services: &Services, group: &str) -> Vec<ClientRow> {
    client_rows(&services.clients.producers(group))
}

/// Requests that the engine answers by itself: code, name, header type, what it waits for.
#[pyfunction]
pub(crate) fn engine_routes() -> Vec<(i32, &'static str, &'static str, &'static str)> {
    let row = |route: &Route| {
        let waits_for = match route.waits_for {
            WaitsFor::Log => "log",
            WaitsFor::ReadIndex => "ReadIndex",
            WaitsFor::View => "view",
            WaitsFor::Memory => "memory",
        };
        (route.code, route.name(), route.header(), waits_for)
    };
    routes().iter().map(row).collect()
}

/// Name of a request code; none if it has no name.
#[pyfunction]
pub(crate) fn code_name(code: i32) -> Option<&'static str> {
    request::name(code)
}

fn client_rows(peers: &[ClientInfo]) -> Vec<ClientRow> {
    let row = |peer: &ClientInfo| {
        let address = peer.address.to_string();
        (
            address,
            peer.client_id.to_string(),
            peer.language,
            peer.version,
        )
    };
    peers.iter().map(row).collect()
}

fn topic_id(services: &Services, topic: &str) -> Option<u32> {
    let state = services.views.state();
    state.topic(topic).map(|topic| topic.id)
}

fn store_time(
    services: &Services,
    topic_id: u32,
    queue_id: u32,
    offset: u64,
) -> Result<i64, LogError> {
    let mut entries: Vec<QueueEntry> = Vec::with_capacity(1);
    services
        .views
        .queues
        .read(topic_id, queue_id, offset, 1, &mut entries)?;
    let Some(entry) = entries.first() else {
        return Ok(0);
    };
    let bytes = services.views.record(entry)?;
    Ok(Record::parse(&bytes).map_or(0, |record| record.store_timestamp_ms()))
}
