//! The state against a plain model, step by step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use tern_state::{CommitOffsets, OffsetCommit, Op, State};

use crate::support::{apply, fill, founded_with, founding, put_group, put_topic};

const TOPICS: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 2] = ["g", "h"];

#[derive(Debug, Clone)]
enum Step {
    PutTopic {
        topic: usize,
        queues: u32,
    },
    PutGroup {
        group: usize,
    },
    Records {
        topic: usize,
        queue_id: u32,
        count: u64,
    },
    Commit {
        group: usize,
        topic: usize,
        queue_id: u32,
        offset: u64,
        explicit: bool,
    },
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..3_usize, 0..5_u32).prop_map(|(topic, queues)| Step::PutTopic { topic, queues }),
        1 => (0..2_usize).prop_map(|group| Step::PutGroup { group }),
        4 => (0..3_usize, 0..6_u32, 1..9_u64)
            .prop_map(|(topic, queue_id, count)| Step::Records { topic, queue_id, count }),
        6 => (0..2_usize, 0..3_usize, 0..6_u32, 0..20_u64, any::<bool>()).prop_map(
            |(group, topic, queue_id, offset, explicit)| {
                Step::Commit { group, topic, queue_id, offset, explicit }
            }
        ),
        1 => Just(Step::Snapshot),
    ]
}

/// The rules, without sharing, ids or sums.
#[derive(Default)]
struct Model {
    topics: BTreeMap<usize, u32>,
    groups: BTreeSet<usize>,
    ends: BTreeMap<(usize, u32), u64>,
    offsets: BTreeMap<(usize, usize, u32), u64>,
}

impl Model {
    fn queue_exists(&self, topic: usize, queue_id: u32) -> bool {
        let configured = self
            .topics
            .get(&topic)
            .is_some_and(|&queues| queue_id < queues);
        configured
            || self
                .ends
                .range((topic, queue_id)..(topic + 1, 0))
                .next()
                .is_some()
    }

    fn commit(&mut self, group: usize, topic: usize, queue_id: u32, offset: u64, explicit: bool) {
        if !self.groups.contains(&group) || !self.queue_exists(topic, queue_id) {
            return;
        }
        let offset = offset.min(self.ends.get(&(topic, queue_id)).copied().unwrap_or(0));
        let entry = self
            .offsets
            .entry((group, topic, queue_id))
            .or_insert(offset);
        *entry = if explicit { offset } else { offset.max(*entry) };
    }
}

fn run(state: &mut State, model: &mut Model, step: &Step) {
    match *step {
        Step::PutTopic { topic, queues } => {
            apply(state, &[put_topic(TOPICS[topic], queues)]).expect("good op");
            model.topics.insert(topic, queues);
        }
        Step::PutGroup { group } => {
            apply(state, &[put_group(GROUPS[group])]).expect("good op");
            model.groups.insert(group);
        }
        Step::Records {
            topic,
            queue_id,
            count,
        } => {
            if model.topics.contains_key(&topic) {
                fill(state, TOPICS[topic], queue_id, count);
                *model.ends.entry((topic, queue_id)).or_default() += count;
            }
        }
        Step::Commit {
            group,
            topic,
            queue_id,
            offset,
            explicit,
        } => {
            let (group_name, topic_name) = (GROUPS[group].into(), TOPICS[topic].into());
            let commit = OffsetCommit {
                group: group_name,
                topic: topic_name,
                queue_id,
                offset,
                explicit,
            };
            apply(state, &[Op::CommitOffsets(CommitOffsets(vec![commit]))]).expect("good op");
            model.commit(group, topic, queue_id, offset, explicit);
        }
        Step::Snapshot => {}
    }
}

fn assert_equal(state: &State, model: &Model) -> Result<(), TestCaseError> {
    for (topic, &name) in TOPICS.iter().enumerate() {
        let queues = state.topic(name).map(|topic| topic.config.read_queues);
        prop_assert_eq!(queues, model.topics.get(&topic).copied());
        for queue_id in 0..6 {
            let end = state.next_offset(name, queue_id);
            prop_assert_eq!(
                end,
                model.ends.get(&(topic, queue_id)).copied().unwrap_or(0)
            );
            for (group, &group_name) in GROUPS.iter().enumerate() {
                let offset = state.offset(group_name, name, queue_id);
                prop_assert_eq!(
                    offset,
                    model.offsets.get(&(group, topic, queue_id)).copied()
                );
                prop_assert!(offset.unwrap_or(0) <= end, "an offset past the end");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_state_follows_the_model_keeps_its_sums_and_leaves_snapshots_alone(
        steps in vec(step(), 0..60),
    ) {
        let (mut state, mut model) = (founded_with(founding()), Model::default());
        let mut snapshots = Vec::new();
        for step in &steps {
            if matches!(step, Step::Snapshot) {
                snapshots.push((state.clone(), state.table_sums()));
            }
            run(&mut state, &mut model, step);
            assert_equal(&state, &model)?;
            prop_assert_eq!(state.table_sums(), state.recomputed_sums());
        }
        for (snapshot, sums) in snapshots {
            prop_assert_eq!(snapshot.recomputed_sums(), sums);
        }
    }
}
