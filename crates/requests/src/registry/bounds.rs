//! How much the registry holds at most.

/// Entries of all clients together: one for each group of each connection.
pub(super) const MAX_ENTRIES: usize = 200_000;
/// Groups of one connection.
pub(super) const MAX_GROUPS_OF_CONNECTION: usize = 1_024;
/// Bytes of all subscriptions together.
pub(super) const MAX_SUBSCRIPTION_BYTES: usize = 64 << 20;
/// Topics of one group.
pub(super) const MAX_TOPICS_OF_GROUP: usize = 1_024;
/// Different sets of subscriptions in one group; who comes with one more counts as unknown.
pub(super) const MAX_SETS_OF_GROUP: usize = 64;
/// What a subscription takes besides its texts, about.
const SUBSCRIPTION_BYTES: usize = 256;

/// What a subscription takes in memory, about.
pub(super) fn subscription_bytes(topic: &str, expression: &str) -> usize {
    // The expression is held as text and, apart, tag by tag.
    topic.len() + 2 * expression.len() + SUBSCRIPTION_BYTES
}
