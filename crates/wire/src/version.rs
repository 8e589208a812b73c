//! Version ordinals of the protocol: the ordinal of a release in Java's list, and the ones that change behaviour.

/// What we declare: 5.5.0.
pub const OWN: i32 = 513;
/// 3.0.11: a registration's body is a wrapper from here on.
pub const V3_0_11: i32 = 37;
/// 3.4.9: `maxReconsumeTimes` of a send is honoured from here on.
pub const V3_4_9: i32 = 121;
/// 4.9.4: a route answer has quoted integer keys from here on.
pub const V4_9_4: i32 = 401;
/// 5.0.0: compressed registrations carry static topics, groups are at most 120 characters, from here on.
pub const V5_0_0: i32 = 413;
/// The last ordinal that is tied to one release; later senders count as this.
pub const HIGHEST: i32 = 612;
