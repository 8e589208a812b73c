//! What an appending leader must know of a metadata block.

use tern_state::{FieldError, Op, OpError, Precondition, preconditions, system_topics};

use crate::support::{block, commit, founding, put_group, put_topic};

#[test]
fn topics_that_come_and_go_and_delay_progress_are_found_in_order() {
    let ops = [
        Op::FoundGroup(founding()),
        put_group("g"),
        put_topic("orders", 4),
        Op::CommitOffsets(vec![commit("orders", 0, 1)]),
        Op::DeleteTopic {
            changed_at_ms: 1,
            name: "orders".into(),
        },
        Op::DelayProgress {
            level: 2,
            from: 3,
            to: 4,
        },
    ];
    let system = system_topics(&founding()).into_iter();
    let system = system.map(|topic| topic.name).collect();
    assert_eq!(
        preconditions(&block(&ops)),
        Ok(vec![
            Precondition::Topics(system),
            Precondition::Topics(vec!["orders".into()]),
            Precondition::Deleted("orders".into()),
            Precondition::Delay {
                level: 2,
                from: 3,
                to: 4
            },
        ])
    );
}

#[test]
fn a_cut_block_is_refused() {
    let bytes = block(&[put_group("g"), put_topic("orders", 4)]);
    assert!(matches!(
        preconditions(&bytes[..bytes.len() - 1]),
        Err(OpError::Field(FieldError::Truncated { .. }))
    ));
}
