//! What an appending leader must know of a metadata block.

use tern_state::{
    CommitOffsets, DelayProgress, DeleteTopic, FieldError, FoundGroup, Op, OpError, Precondition,
    preconditions, system_topics,
};

use crate::every_op;
use crate::support::{block, commit, founding, put_group, put_topic};

#[test]
fn topics_that_come_and_go_and_delay_progress_are_found_in_order() {
    let ops = [
        Op::FoundGroup(FoundGroup(founding())),
        put_group("g"),
        put_topic("orders", 4),
        Op::CommitOffsets(CommitOffsets(vec![commit("orders", 0, 1)])),
        Op::DeleteTopic(DeleteTopic {
            changed_at_ms: 1,
            name: "orders".into(),
        }),
        Op::DelayProgress(DelayProgress {
            level: 2,
            from: 3,
            to: 4,
        }),
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
fn a_block_has_the_preconditions_of_its_ops() {
    let ops = every_op::ops();
    let of_ops: Vec<_> = ops.iter().filter_map(Op::precondition).collect();
    assert!(of_ops.len() > 4 && of_ops.len() < ops.len());
    assert_eq!(preconditions(&block(&ops)), Ok(of_ops));
}

#[test]
fn ops_without_a_precondition_are_passed_over_unread() {
    let mut bytes = block(&[put_group("g"), put_topic("orders", 4)]);
    bytes[8..16].fill(0xff);
    bytes[16..20].fill(0xff);
    assert!(Op::decode_all(&bytes).is_err(), "the name of the group");
    let orders = Precondition::Topics(vec!["orders".into()]);
    assert_eq!(preconditions(&bytes), Ok(vec![orders]));
}

#[test]
fn a_cut_block_is_refused() {
    let bytes = block(&[put_group("g"), put_topic("orders", 4)]);
    assert!(matches!(
        preconditions(&bytes[..bytes.len() - 1]),
        Err(OpError::Field(FieldError::Truncated { .. }))
    ));
}
