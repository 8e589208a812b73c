//! One replica on a disk that fills up, and rolls on one that does not.

mod solitary;

use solitary::Solitary;
use tern_log::MIN_SEGMENT_SIZE;
use tern_replica::{Outcome, RejectReason};

const TOPIC: &str = "TBW102";
const BODY: usize = 1 << 20;

fn send(solitary: &mut Solitary, ticket: u64) -> Outcome {
    solitary.hand_in(ticket, TOPIC, &vec![7; BODY]);
    solitary.settle();
    solitary.outcome(ticket)
}

#[test]
fn a_log_rolls_into_prepared_segments_without_losing_an_offset() {
    let mut solitary = Solitary::new();
    solitary.settle();
    for number in 0..100 {
        let Outcome::Stored(stored) = send(&mut solitary, number) else {
            panic!("send {number} was refused");
        };
        assert_eq!(stored.queue_offset, number);
    }
    assert!(solitary.reader.end().position > 3 * MIN_SEGMENT_SIZE);
}

#[test]
fn without_room_sends_are_refused_with_14_reads_go_on_and_freed_space_is_used() {
    let mut solitary = Solitary::new();
    solitary.settle();
    // The longer a log is, the more is reserved ahead of it.
    let long = 40;
    for number in 0..long {
        send(&mut solitary, number);
    }
    solitary.disk.set_free_bytes(Some(1 << 20));
    let mut stored = long;
    let refused = loop {
        match send(&mut solitary, stored) {
            Outcome::Stored(_) => stored += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Outcome::Rejected(RejectReason::NoRoom));
    assert!(
        stored >= long + 4,
        "what was reserved was filled first: {stored}"
    );
    let last = solitary.reader.frame(solitary.committed).unwrap();
    assert_eq!(last.header.message_count, 1);
    assert_eq!(solitary.applier.state().next_offset(TOPIC, 0), stored);

    solitary.disk.set_free_bytes(None);
    solitary.settle();
    let Outcome::Stored(after) = send(&mut solitary, 1_000) else {
        panic!("space was freed");
    };
    assert_eq!(after.queue_offset, stored, "nothing refused took an offset");
}
