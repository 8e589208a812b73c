//! What the apply thread is asked for besides applying: to count for a new leader, and to answer those that wait for it.

mod solitary;

use solitary::Solitary;
use tern_replica::{
    Applying, Bound, Committed, Outcome, RebuildNextOffsets, RebuildOutcome, RejectReason,
    StoredRecords,
};

fn rebuild(upto: u64, upto_term: u64) -> RebuildOutcome {
    let mut solitary = Solitary::new();
    solitary.settle();
    let asked = RebuildNextOffsets {
        term: 2,
        upto: solitary.committed + upto,
        upto_term,
    };
    let applying: Applying<u64> = Applying::new(solitary.newcomer());
    applying
        .rebuild(asked)
        .expect("nothing that stops the replica")
}

#[test]
fn frames_that_are_there_are_counted_for_the_term_that_asked() {
    let RebuildOutcome::Rebuilt(rebuilt) = rebuild(0, 1) else {
        panic!("not counted");
    };
    assert_eq!(rebuilt.term, 2);
}

#[test]
fn frames_that_another_leader_cut_before_they_were_counted_stop_nobody() {
    assert!(matches!(rebuild(1, 2), RebuildOutcome::Overtaken));
}

#[test]
fn a_read_that_waits_for_views_longer_than_its_client_does_is_given_up() {
    let mut solitary = Solitary::new();
    solitary.settle();
    let mut applying: Applying<u64> = Applying::new(solitary.newcomer());
    let ahead = solitary.committed + 1;
    let committed = Committed {
        index: 0,
        decided: Vec::new(),
        at_apply: vec![
            (ahead, 1, Outcome::Confirmed(ahead)),
            (ahead, 2, Outcome::Stored(StoredRecords::default())),
        ],
    };
    assert!(applying.commit(committed, 5).is_empty());
    let answers = |applying: &mut Applying<u64>, now_ns| {
        applying
            .advance(1 << 20, now_ns)
            .expect("good frames")
            .answers
    };
    assert!(answers(&mut applying, 3_000_000_005).is_empty());
    assert_eq!(
        answers(&mut applying, 3_000_000_006),
        [
            (1, Outcome::Rejected(RejectReason::Busy(Bound::Behind))),
            (2, Outcome::Unknown)
        ]
    );
    assert!(answers(&mut applying, 9_000_000_000).is_empty());
}
