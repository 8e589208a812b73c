//! Where a message is stored, decided before its record is made: one function for messages that producers send and for
//! those that consumers send back.

use std::sync::Arc;

use tern_state::{GroupConfig, TopicConfig, delay, perm};
use tern_wire::names::DLQ_PREFIX;
use tern_wire::properties::{PropertyError, Writer, names};
use tern_wire::version::V3_4_9;

/// A topic and a queue of it.
pub(super) type TopicQueue = (Arc<str>, u32);

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// It is stored under the topic that was named.
    Topic,
    /// It has been tried often enough: it is stored among the dead letters of its group.
    DeadLetter,
    /// It waits under the schedule topic until the delay of this level is over.
    Delayed(u16),
}

/// A message that a consumer could not consume, on its way to its group's retry topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry<'a> {
    pub group: &'a GroupConfig,
    /// How often it will have been tried again, this time included.
    pub times: i32,
    /// The limit in the request. Clients before 3.4.9 send one and do not mean it.
    pub limit: Option<i32>,
    /// Version of the client.
    pub version: i32,
    /// It is not to be tried again, whatever the limit says.
    pub is_over: bool,
}

impl Retry<'_> {
    fn exceeds_limit(&self) -> bool {
        let limit = self
            .limit
            .filter(|_| self.version >= V3_4_9)
            .unwrap_or(self.group.retry_max_times);
        self.is_over || self.times > limit
    }
}

/// The destination of a message: `retry` if it goes to a retry topic, `level` if a delay was asked for. A dead letter is
/// not delayed: nobody waits for it.
pub(super) fn destination(retry: Option<&Retry<'_>>, level: Option<u16>) -> Destination {
    match level {
        _ if retry.is_some_and(Retry::exceeds_limit) => Destination::DeadLetter,
        Some(level) => Destination::Delayed(level),
        None => Destination::Topic,
    }
}

impl Destination {
    pub fn is_dead_letter(self) -> bool {
        self == Self::DeadLetter
    }

    /// The queue under which a record is stored that belongs to `queue`, and in `properties` what it needs to find back.
    ///
    /// # Errors
    /// The properties cannot take it.
    pub fn stored_in(
        self,
        queue: TopicQueue,
        properties: &mut Writer,
    ) -> Result<TopicQueue, PropertyError> {
        let Self::Delayed(level) = self else {
            return Ok(queue);
        };
        properties.push(names::DELAY, &level.to_string())?;
        properties.push(names::REAL_TOPIC, &queue.0)?;
        properties.push(names::REAL_QID, &queue.1.to_string())?;
        Ok((Arc::from(delay::SCHEDULE_TOPIC), delay::level_queue(level)))
    }
}

/// The delay level that a number asks for, if it asks for one. What is above the highest level means that one.
pub(super) fn delay_level(asked: i64) -> Option<u16> {
    (asked > 0)
        .then(|| u16::try_from(asked).map_or(delay::LEVELS, |level| level.min(delay::LEVELS)))
}

/// Name of a group's topic of dead letters.
pub(super) fn dead_letter_name(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// A group's topic of dead letters, as it comes into being.
pub(super) fn dead_letter_topic(name: &str) -> TopicConfig {
    TopicConfig::new(name, 1, perm::READ | perm::WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(times: i32, limit: Option<i32>, version: i32, is_over: bool) -> Destination {
        let group = GroupConfig {
            retry_max_times: 2,
            ..GroupConfig::new("CG")
        };
        let retry = Retry {
            group: &group,
            times,
            limit,
            version,
            is_over,
        };
        destination(Some(&retry), Some(3))
    }

    #[test]
    fn a_message_is_delayed_until_it_has_been_tried_often_enough_and_is_then_a_dead_letter() {
        let delayed = Destination::Delayed(3);
        assert_eq!(retry(2, None, V3_4_9, false), delayed);
        assert_eq!(retry(3, None, V3_4_9, false), Destination::DeadLetter);
        assert_eq!(retry(3, Some(3), V3_4_9, false), delayed);
        assert_eq!(
            retry(3, Some(3), V3_4_9 - 1, false),
            Destination::DeadLetter
        );
        assert_eq!(retry(1, Some(3), V3_4_9, true), Destination::DeadLetter);
    }

    #[test]
    fn a_message_that_is_no_retry_goes_to_its_topic_at_once_or_after_its_delay() {
        assert_eq!(destination(None, None), Destination::Topic);
        assert_eq!(destination(None, Some(18)), Destination::Delayed(18));
    }

    #[test]
    fn a_delay_above_the_highest_level_means_that_one_and_none_below_the_first() {
        assert_eq!(delay_level(0), None);
        assert_eq!(delay_level(-1), None);
        assert_eq!(delay_level(1), Some(1));
        assert_eq!(delay_level(i64::MAX), Some(delay::LEVELS));
    }
}
