//! What operators ask about a replica: queues, offsets, groups and connected clients. Reads, changes nothing.

use std::sync::Arc;

use pyo3::prelude::*;
use tern_broker::{Peer, Services};
use tern_log::{LogError, QueueEntry};
use tern_net::Connection;
use tern_state::delay;
use tern_wire::codes::request;
use tern_wire::record::Record;

/// How far into the log the oldest message is looked for: it may begin with frames that hold none.
const OLDEST_READS: usize = 64;
const OLDEST_BYTES: usize = 64 << 10;

/// Queue id, oldest offset, offset of the next message, store time of the newest one (0: none).
pub(crate) type QueueRange = (u32, u64, u64, i64);
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

/// All queues of a topic, those for reading and those for writing; none if there is no such topic. Reads the log.
pub(crate) fn queue_ranges(services: &Services, topic: &str) -> Result<Vec<QueueRange>, LogError> {
    let Some((topic_id, queues)) = queues_of(services, topic) else {
        return Ok(Vec::new());
    };
    let row = |queue_id| {
        let (min, max) = services.views.queues.range(topic_id, queue_id);
        let last = if max > min {
            store_time(services, topic_id, queue_id, max - 1)?
        } else {
            0
        };
        Ok((queue_id, min, max, last))
    };
    (0..queues).map(row).collect()
}

/// Store times of single messages; 0 where there is none. Reads the log.
pub(crate) fn store_times(
    services: &Services,
    topic: &str,
    places: &[(u32, u64)],
) -> Result<Vec<i64>, LogError> {
    let topic_id = queues_of(services, topic).map(|(topic_id, _)| topic_id);
    let time = |&(queue_id, offset): &(u32, u64)| match topic_id {
        Some(topic_id) => store_time(services, topic_id, queue_id, offset),
        None => Ok(0),
    };
    places.iter().map(time).collect()
}

/// When the oldest message that is kept was stored, -1 if none stands near the beginning of the log. Reads the log.
pub(crate) fn oldest_store_time(services: &Services) -> Result<i64, LogError> {
    let (mut index, mut left) = (services.views.log.first_index(), OLDEST_READS);
    let applied = services.views.applied_index();
    while left > 0 && index <= applied {
        let frames = services.views.log.frames(index, OLDEST_BYTES)?;
        let Some(last) = frames.last() else { break };
        index = last.header.index + 1;
        for frame in frames.iter().filter(|frame| frame.header.index <= applied) {
            if let Some(Ok(record)) = tern_wire::record::iter(frame.records()).next() {
                return Ok(record.store_timestamp_ms());
            }
        }
        left -= 1;
    }
    Ok(-1)
}

/// Level, how many of its messages were put, how many were stored; levels that have none are left out.
pub(crate) fn delay_levels(services: &Services) -> Vec<(u16, u64, u64)> {
    let state = services.views.state();
    let rows = (1..=delay::LEVELS).map(|level| {
        let stored = state.next_offset(delay::SCHEDULE_TOPIC, delay::level_queue(level));
        (level, state.delay_progress(level), stored)
    });
    rows.filter(|(_, _, stored)| *stored > 0).collect()
}

/// All committed offsets of a group.
pub(crate) fn offsets(services: &Services, group: &str) -> Vec<(String, u32, u64)> {
    let state = services.views.state();
    let rows = state.offsets_of_group(group);
    rows.map(|(topic, queue_id, offset)| (topic.config.name.to_string(), queue_id, offset))
        .collect()
}

/// Groups that consume a topic: its subscribers that are connected, and those with offsets in it; in order.
pub(crate) fn groups_of_topic(services: &Services, topic: &str) -> Vec<String> {
    let state = services.views.state();
    let with_offsets = state.groups().filter(|group| {
        state
            .offsets_of_group(&group.name)
            .any(|(of, _, _)| &*of.config.name == topic)
    });
    let mut names: Vec<String> = with_offsets.map(|group| group.name.to_string()).collect();
    let connected = services.clients.subscribers(topic);
    names.extend(connected.iter().map(ToString::to_string));
    names.sort_unstable();
    names.dedup();
    names
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
pub(crate) fn engine_routes() -> Vec<(i32, &'static str, &'static str, String)> {
    let row = |route: &tern_broker::routes::Route| {
        let lane = format!("{:?}", route.waits_for).to_lowercase();
        (route.code, route.name(), route.header(), lane)
    };
    tern_broker::routes::routes().iter().map(row).collect()
}

/// Name of a request code; none if it has no name.
#[pyfunction]
pub(crate) fn code_name(code: i32) -> Option<&'static str> {
    request::name(code)
}

fn client_rows(peers: &[Peer<Arc<Connection>>]) -> Vec<ClientRow> {
    let row = |peer: &Peer<Arc<Connection>>| {
        let address = peer.connection.peer().to_string();
        (
            address,
            peer.client_id.to_string(),
            peer.language,
            peer.version,
        )
    };
    peers.iter().map(row).collect()
}

/// Id of a topic, and how many queues it has for reading or writing, whichever is more.
fn queues_of(services: &Services, topic: &str) -> Option<(u32, u32)> {
    let state = services.views.state();
    let topic = state.topic(topic)?;
    let queues = topic.config.read_queues.max(topic.config.write_queues);
    Some((topic.id, queues))
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
