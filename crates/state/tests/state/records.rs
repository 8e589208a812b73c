//! Queue offsets are counted by every replica and must agree with the records.

use tern_state::{ApplyError, MAX_QUEUES};

use crate::support::{apply, fill, put_topic, shop};

#[test]
fn a_queue_counts_its_own_records() {
    let mut state = shop();
    let id = state.topic("orders").expect("it exists").id;
    for (queue_id, queue_offset) in [(0, 0), (0, 1), (3, 0), (0, 2), (1, 0), (3, 1)] {
        assert_eq!(state.apply_record("orders", queue_id, queue_offset), Ok(id));
    }
    let next = |queue_id| state.next_offset("orders", queue_id);
    assert_eq!(
        [next(0), next(1), next(2), next(3), next(4)],
        [3, 1, 0, 2, 0]
    );
    assert_eq!(state.next_offset_by_id(id, 0), 3);
    assert_eq!(
        (
            state.next_offset("bills", 0),
            state.next_offset("nobody", 0),
            state.next_offset_by_id(0, 0)
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_gap_or_a_repetition_of_queue_offsets_stops_the_replica() {
    for wrong in [0, 1, 3, u64::MAX] {
        let mut state = shop();
        fill(&mut state, "orders", 2, 2);
        let refused = state.apply_record("orders", 2, wrong);
        let expected = ApplyError::QueueOffset {
            topic: "orders".into(),
            queue_id: 2,
            need: 2,
            have: wrong,
        };
        assert_eq!(refused, Err(expected));
    }
    let expected = ApplyError::QueueOffset {
        topic: "orders".into(),
        queue_id: 1,
        need: 0,
        have: 1,
    };
    assert_eq!(shop().apply_record("orders", 1, 1), Err(expected));
}

#[test]
fn a_record_of_an_unknown_topic_stops_the_replica() {
    let expected = ApplyError::UnknownTopic {
        topic: "nobody".into(),
    };
    assert_eq!(shop().apply_record("nobody", 0, 0), Err(expected));
}

#[test]
fn a_queue_beyond_any_topic_stops_the_replica_and_costs_no_memory() {
    for queue_id in [MAX_QUEUES, u32::MAX] {
        let expected = ApplyError::UnknownQueue {
            topic: "orders".into(),
            queue_id,
        };
        assert_eq!(shop().apply_record("orders", queue_id, 0), Err(expected));
    }
}

#[test]
fn a_send_that_was_under_way_while_its_topic_shrank_is_taken() {
    let mut state = shop();
    apply(&mut state, &[put_topic("orders", 1)]).expect("good");
    fill(&mut state, "orders", 3, 1);
    assert_eq!(state.next_offset("orders", 3), 1);
}
