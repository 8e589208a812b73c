//! A state in bytes: what was written comes back, and nothing else gets in.

use proptest::collection::vec;
use proptest::prelude::*;
use tern_state::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use tern_state::{
    ApplyError, BrokerPermission, CommitOffsets, DelayProgress, DeleteGroup, DeleteTopic,
    FieldError, FoundGroup, GroupConfig, LeaseTime, LockQueues, OffsetCommit, Op, PutGroup,
    PutPermission, PutTopic, RowError, State, StateError, TopicConfig, UnlockQueues,
};

use crate::every_op;
use crate::support::{apply, fill, founding};

const TOPICS: [&str; 4] = ["a", "b", "%RETRY%g", SCHEDULE_TOPIC];
const GROUPS: [&str; 3] = ["g", "h", "TOOLS_CONSUMER"];

/// The bytes of the state behind the first five frames of [`every_op`], kept since the format was
/// made; a table or a frame that comes later gets a file of its own. States are on disks: if this is
/// red, the code is wrong, or the format needs another version.
const GOLDEN: &[u8] = include_bytes!("../golden/state.1.bin");

/// The same behind the sixth frame, the first with the table of the permission.
const GOLDEN_WITH_PERMISSION: &[u8] = include_bytes!("../golden/state.2.bin");

#[derive(Debug, Clone)]
enum StateChange {
    Records(usize, u32, u64),
    Op(Op),
    /// Moves a level on by as much.
    Progress(u16, u64),
}

fn put() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3_usize, 0..6_u32, any::<u64>()).prop_map(|(topic, queues, at)| {
            Op::PutTopic(PutTopic {
                changed_at_ms: at >> 8,
                config: TopicConfig::new(TOPICS[topic], queues, 6),
            })
        }),
        (0..3_usize, any::<i32>(), any::<u64>()).prop_map(|(group, retries, at)| {
            Op::PutGroup(PutGroup {
                changed_at_ms: at >> 8,
                config: GroupConfig {
                    retry_max_times: retries,
                    ..GroupConfig::new(GROUPS[group])
                },
            })
        }),
        (any::<bool>(), any::<bool>()).prop_map(|(read_only, rejects_sends)| {
            Op::PutPermission(PutPermission {
                changed_at_ms: 1,
                permission: BrokerPermission {
                    read_only,
                    rejects_sends,
                },
            })
        }),
    ]
}

fn delete() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3_usize).prop_map(|topic| Op::DeleteTopic(DeleteTopic {
            changed_at_ms: 1,
            name: TOPICS[topic].into(),
        })),
        (0..3_usize, any::<bool>()).prop_map(|(group, clean_offsets)| {
            Op::DeleteGroup(DeleteGroup {
                changed_at_ms: 1,
                name: GROUPS[group].into(),
                clean_offsets,
            })
        }),
    ]
}

fn commit() -> impl Strategy<Value = Op> {
    let commit = (0..3_usize, 0..4_usize, 0..6_u32, 0..9_u64, any::<bool>());
    let commit = commit.prop_map(|(group, topic, queue_id, offset, explicit)| OffsetCommit {
        group: GROUPS[group].into(),
        topic: TOPICS[topic].into(),
        queue_id,
        offset,
        explicit,
    });
    vec(commit, 1..4).prop_map(|commits| Op::CommitOffsets(CommitOffsets(commits)))
}

fn lock() -> impl Strategy<Value = Op> {
    let queues = vec((0..4_usize, 0..4_u32), 1..4);
    (0..3_usize, 0..2_u8, queues, 0..90_u64, any::<bool>()).prop_map(
        |(group, client, queues, now_ms, lock)| {
            let (group, client) = (GROUPS[group].into(), format!("c{client}").into());
            let queues = queues.into_iter();
            let queues = queues.map(|(topic, queue)| (TOPICS[topic].into(), queue));
            let (queues, at) = (
                queues.collect(),
                LeaseTime {
                    term: 1,
                    since_ms: 0,
                    now_ms,
                },
            );
            if lock {
                Op::LockQueues(LockQueues {
                    group,
                    client,
                    at,
                    ttl_ms: 30,
                    queues,
                })
            } else {
                Op::UnlockQueues(UnlockQueues {
                    group,
                    client,
                    queues,
                })
            }
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<StateChange>> {
    let records = (0..4_usize, 0..6_u32, 1..5_u64);
    vec(
        prop_oneof![
            4 => records.prop_map(|(topic, queue, count)| StateChange::Records(topic, queue, count)),
            3 => put().prop_map(StateChange::Op),
            2 => delete().prop_map(StateChange::Op),
            3 => commit().prop_map(StateChange::Op),
            3 => lock().prop_map(StateChange::Op),
            2 => (1..=LEVELS, 0..3_u64).prop_map(|(level, by)| StateChange::Progress(level, by)),
        ],
        0..40,
    )
}

/// Makes a change, unless it is not possible here.
fn make(state: &mut State, change: &StateChange) {
    let op = match change {
        StateChange::Records(topic, queue_id, count) => {
            if state.topic(TOPICS[*topic]).is_some() {
                fill(state, TOPICS[*topic], *queue_id, *count);
            }
            apply(state, &[]).expect("no ops");
            return;
        }
        StateChange::Op(op) => op.clone(),
        StateChange::Progress(level, by) => {
            let from = state.delay_progress(*level);
            let end = state.next_offset(SCHEDULE_TOPIC, level_queue(*level));
            Op::DelayProgress(DelayProgress {
                level: *level,
                from,
                to: end.min(from + by),
            })
        }
    };
    if state.check(&op).is_ok() {
        apply(state, &[op]).expect("checked");
    }
}

fn made(changes: &[StateChange]) -> State {
    let mut state = State::new();
    apply(&mut state, &[Op::FoundGroup(FoundGroup(founding()))]).expect("good op");
    for change in changes {
        make(&mut state, change);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_comes_back_with_its_hash_and_goes_on_as_it_would_have(
        before in changes(),
        after in changes(),
    ) {
        let mut state = made(&before);
        let mut decoded = State::decode(&state.encode()).expect("its own bytes");
        prop_assert_eq!(&decoded, &state);
        prop_assert_eq!(decoded.table_sums(), state.table_sums());
        prop_assert_eq!(decoded.table_sums(), decoded.recomputed_sums());
        for change in &after {
            make(&mut state, change);
            make(&mut decoded, change);
        }
        prop_assert_eq!(decoded.hash(), state.hash());
        prop_assert_eq!(decoded.encode(), state.encode());
    }

    #[test]
    fn changed_bytes_never_panic_and_what_is_accepted_has_one_form(
        changes in changes(),
        patches in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = made(&changes).encode();
        for (at, value) in patches {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(decoded) = State::decode(&bytes) {
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..300), table in 1..9_u8) {
        // A head that is right, so that rows are looked at.
        let head = [0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, table];
        let length = (bytes.len() as u64).to_be_bytes();
        bytes.splice(..0, head.into_iter().chain(length));
        if let Ok(decoded) = State::decode(&bytes) {
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }
}

#[test]
fn the_bytes_of_a_state_never_change_between_builds() {
    let state = every_op::state_behind(5);
    assert_eq!(state.encode(), GOLDEN);
    assert_eq!(State::decode(GOLDEN).as_ref(), Ok(&state));
    let state = every_op::state_behind(6);
    assert_eq!(state.encode(), GOLDEN_WITH_PERMISSION);
    assert_eq!(State::decode(GOLDEN_WITH_PERMISSION).as_ref(), Ok(&state));
}

#[test]
fn cut_bytes_are_refused_unless_cut_between_tables() {
    for cut in 0..GOLDEN.len() {
        if let Ok(decoded) = State::decode(&GOLDEN[..cut]) {
            assert_eq!(decoded.encode(), &GOLDEN[..cut]);
        }
    }
    assert!(State::decode(&GOLDEN[..GOLDEN.len() - 1]).is_err());
}

#[test]
fn a_state_before_the_first_frame_has_no_tables() {
    let bytes = State::new().encode();
    assert_eq!(bytes.len(), 2 + 8 + 8);
    assert_eq!(State::decode(&bytes), Ok(State::new()));
}

/// The head of a state, with these tables behind it.
fn state_of(tables: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = State::new().encode();
    for (id, rows) in tables {
        bytes.extend(id.to_be_bytes());
        bytes.extend((rows.len() as u64).to_be_bytes());
        bytes.extend(*rows);
    }
    bytes
}

/// What is wrong with one table.
fn refused(id: u16, rows: &[&[u8]]) -> RowError {
    match State::decode(&state_of(&[(id, &rows.concat())])) {
        Err(StateError::Table { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_and_tables_of_later_code_are_refused_by_number() {
    let mut later = GOLDEN.to_vec();
    later[..2].copy_from_slice(&[0, 2]);
    assert_eq!(
        State::decode(&later),
        Err(StateError::UnknownVersion { version: 2 })
    );
    assert_eq!(
        State::decode(&state_of(&[(99, b"rows")])),
        Err(StateError::UnknownTable { id: 99 })
    );
}

#[test]
fn a_table_that_comes_twice_or_too_late_is_refused() {
    let level = [0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9];
    for tables in [[6, 6], [6, 5]] {
        let [first, second] = tables;
        assert_eq!(
            State::decode(&state_of(&[(first, &level), (second, &level)])),
            Err(StateError::TableOrder { id: second })
        );
    }
}

#[test]
fn a_length_beyond_the_bytes_is_refused_before_anything_is_allocated() {
    let mut bytes = state_of(&[(6, b"")]);
    let at = bytes.len() - 8;
    bytes[at..].fill(0xff);
    let need = usize::MAX;
    assert_eq!(
        State::decode(&bytes),
        Err(StateError::Field(FieldError::Truncated { need, have: 0 }))
    );
    let truncated = |need, have| RowError::Field(FieldError::Truncated { need, have });
    assert_eq!(refused(6, &[&[0xff; 4]]), truncated(0xffff_ffff * 10, 0));
    assert_eq!(refused(5, &[&[0xff; 5]]), truncated(0xffff_ffff * 4, 1));
    assert_eq!(
        refused(5, &[&[0, 0, 0, 1], &[0xff; 4]]),
        truncated(0xffff_ffff * 8, 0)
    );
}

#[test]
fn rows_that_no_op_makes_are_refused() {
    let one: &[u8] = &[0, 0, 0, 1];
    let nine: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 9];
    let zero: &[u8] = &[0; 8];
    assert_eq!(refused(6, &[&[0; 4]]), RowError::Empty);
    assert_eq!(refused(6, &[one, &[0, 3], zero]), RowError::Empty);
    assert_eq!(
        refused(6, &[one, &[0, 19], nine]),
        RowError::Refused(ApplyError::DelayLevel { level: 19 })
    );
    assert_eq!(refused(6, &[one, &[0, 0], nine]), RowError::Order);
    let twice = [[0, 0, 0, 2].as_slice(), &[0, 3], nine, &[0, 3], nine];
    assert_eq!(refused(6, &twice), RowError::Order);
    assert_eq!(
        refused(6, &[one, &[0, 3], nine, &[7, 7]]),
        RowError::Trailing { left: 2 }
    );
    assert_eq!(refused(8, &[&[0, 0]]), RowError::Empty, "no restriction");
    assert_eq!(refused(5, &[one, &[0; 4]]), RowError::Empty, "no queues");
    assert_eq!(refused(5, &[one, one, zero]), RowError::Empty, "no records");
}

#[test]
fn rows_of_a_topic_that_does_not_exist_are_refused() {
    let one: &[u8] = &[0, 0, 0, 1];
    let nine: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 9];
    let unknown = |topic_id| RowError::UnknownTopic { topic_id };
    assert_eq!(refused(5, &[one, one, nine]), unknown(1));
    let group: &[u8] = &[0, 0, 0, 1, b'g'];
    let queue: &[u8] = &[0, 0, 0, 7, 0, 0, 0, 0];
    assert_eq!(refused(4, &[one, group, one, queue, nine]), unknown(7));
    let client: &[u8] = &[0, 0, 0, 1, b'c'];
    let lock = [one, group, one, queue, client, nine, nine, nine];
    assert_eq!(refused(7, &lock), unknown(7));
}

/// Rows of the topic table: so many deleted, and these topics, with read queues.
fn topics(deleted: u8, topics: &[(u8, &str, u8)]) -> Vec<u8> {
    let mut rows = vec![0; 16];
    rows.extend([0, 0, 0, deleted, 0, 0, 0, topics.len() as u8]);
    for (id, name, queues) in topics {
        rows.extend([0, 0, 0, *id, 0, 0, 0, name.len() as u8]);
        rows.extend(name.as_bytes());
        rows.extend([0, *queues, 0, 0]);
        rows.extend([0; 4 * 3 + 2 + 4]);
    }
    rows
}

#[test]
fn topics_have_ids_that_were_given_and_names_of_their_own() {
    assert!(State::decode(&state_of(&[(2, &topics(1, &[(1, "a", 1), (3, "b", 1)]))])).is_ok());
    let bad_id = |value| {
        let field = "topic id";
        RowError::Field(FieldError::BadValue { field, value })
    };
    assert_eq!(refused(2, &[&topics(1, &[(0, "a", 1)])]), bad_id(0));
    assert_eq!(refused(2, &[&topics(1, &[(3, "a", 1)])]), bad_id(3));
    let falling = topics(1, &[(2, "a", 1), (1, "b", 1)]);
    assert_eq!(refused(2, &[&falling]), RowError::Order);
    let named_twice = topics(0, &[(1, "a", 1), (2, "a", 1)]);
    assert_eq!(refused(2, &[&named_twice]), RowError::Order);
    let too_many = refused(2, &[&topics(0, &[(1, "a", 2)])]);
    let RowError::Refused(ApplyError::Bounds { field, .. }) = too_many else {
        panic!("{too_many:?}");
    };
    assert_eq!(field, "read queues");
}

#[test]
fn a_state_of_a_later_feature_level_is_refused() {
    let mut bytes = State::new().encode();
    let mut founded = State::new();
    apply(&mut founded, &[Op::FoundGroup(FoundGroup(founding()))]).expect("good op");
    let whole = founded.encode();
    let length = u64::from_be_bytes(whole[20..28].try_into().expect("eight bytes")) as usize;
    bytes.extend(&whole[18..28 + length]);
    assert!(State::decode(&bytes).is_ok());
    let level = bytes.len() - (8 + 4 + 1 + 4);
    bytes[level..level + 4].copy_from_slice(&2_u32.to_be_bytes());
    assert_eq!(
        State::decode(&bytes),
        Err(StateError::Table {
            table: "settings",
            source: RowError::Refused(ApplyError::FeatureLevel { level: 2, known: 1 })
        })
    );
}
