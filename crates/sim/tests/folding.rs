//! A new leader has the frames that are not applied counted: what it counts on from.

mod solitary;

use solitary::Solitary;
use tern_broker::replica::{Applying, Fold, FoldEnd};

fn fold(upto: u64, upto_term: u64) -> FoldEnd {
    let mut solitary = Solitary::new();
    solitary.settle();
    let asked = Fold {
        term: 2,
        upto: solitary.committed + upto,
        upto_term,
    };
    let applying: Applying<u64> = Applying::new(solitary.newcomer());
    applying
        .fold(asked)
        .expect("nothing that stops the replica")
}

#[test]
fn frames_that_are_there_are_counted_for_the_term_that_asked() {
    let FoldEnd::Folded(folded) = fold(0, 1) else {
        panic!("not counted");
    };
    assert_eq!(folded.term, 2);
}

#[test]
fn frames_that_another_leader_cut_before_they_were_counted_stop_nobody() {
    assert!(matches!(fold(1, 2), FoldEnd::Overtaken));
}
