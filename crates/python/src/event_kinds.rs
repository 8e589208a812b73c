//! The first item of every event's tuple.

/// Declares the kinds of events and the list of all of them, which Python is given.
macro_rules! kinds {
    ($($name:ident = $number:literal;)*) => {
        $(pub(crate) const $name: u8 = $number;)*

        /// Every kind with its name.
        pub(crate) const KINDS: &[(&str, u8)] = &[$((stringify!($name), $number)),*];
    };
}

kinds! {
    REQUEST = 0;
    ANSWER = 1;
    FAILED = 2;
    CLOSED = 3;
    DISCONNECTED = 4;
    PUSH = 5;
    STORED = 6;
    SEND_ANSWERED = 7;
    SEND_FAILED = 8;
    HEARTBEAT_OUTCOME = 9;
    ROLE = 10;
    TOPICS = 11;
    PROPOSED = 12;
    STOPPED = 13;
}
