//! The entry of a consume queue that a record has.

use tern_log::QueueEntry;
use tern_state::delay::{SCHEDULE_TOPIC, delay_ms, queue_level};
use tern_wire::properties::{self, names::TAGS};
use tern_wire::record::Record;

/// What stands in a record's queue. One walk over the properties for all that is looked for in them: the others go to
/// `other`.
pub(crate) fn entry_of(record: &Record<'_>, mut other: impl FnMut(&str, &str)) -> QueueEntry {
    let mut tag = None;
    for (name, value) in properties::iter(record.properties()) {
        if name == TAGS {
            tag = Some(value);
        } else {
            other(name, value);
        }
    }
    QueueEntry {
        physical_offset: record.physical_offset(),
        size: record.size() as u32,
        tags_code: tags_code(record, tag),
    }
}

/// What stands for a record's tag in its queue: of a delayed message, when it is due, ms.
pub(crate) fn tags_code(record: &Record<'_>, tag: Option<&str>) -> i64 {
    if record.topic() == SCHEDULE_TOPIC
        && let Some(level) = queue_level(record.queue_id().cast_unsigned())
        && let Some(delay) = delay_ms(level)
    {
        return record
            .store_timestamp_ms()
            .saturating_add(delay.cast_signed());
    }
    tag.map_or(0, tern_wire::tags::tags_code)
}
