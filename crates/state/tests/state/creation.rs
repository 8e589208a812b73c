//! Topics that are created because somebody uses them.

use tern_state::{
    AutoCreateError, GroupConfig, GroupFounding, Op, PutTopic, State, TopicConfig, auto_create,
    refuses_client_sends, retry_topic,
};

use crate::support::{apply, founded_with, founding, put_topic, shop};

fn put(config: TopicConfig) -> Op {
    Op::PutTopic(PutTopic {
        changed_at_ms: 0,
        config,
    })
}

#[test]
fn a_new_topic_has_the_fewer_of_the_requested_and_the_models_queues() {
    let state = shop();
    for (requested, queues) in [
        (4, 4),
        (8, 8),
        (16, 8),
        (0, 0),
        (-3, 0),
        (i32::MIN, 0),
        (i32::MAX, 8),
    ] {
        let created = auto_create(&state, "new", "TBW102", requested, false);
        assert_eq!(
            created,
            Ok(TopicConfig::new("new", queues, 6)),
            "{requested} requested"
        );
    }
}

#[test]
fn a_new_topic_takes_permission_without_inheritance_and_filter_type_from_its_model() {
    let mut state = shop();
    let model = TopicConfig {
        perm: 5,
        read_queues: 9,
        write_queues: 3,
        multi_tag: true,
        order: true,
        ..TopicConfig::new("m", 0, 0)
    };
    apply(&mut state, &[put(model)]).expect("good");
    let expected = TopicConfig {
        multi_tag: true,
        ..TopicConfig::new("new", 3, 4)
    };
    assert_eq!(auto_create(&state, "new", "m", 9, false), Ok(expected));
}

#[test]
fn unit_mode_marks_the_topic() {
    let state = shop();
    let flag = |name| auto_create(&state, name, "TBW102", 4, true).map(|created| created.sys_flag);
    assert_eq!(flag("new"), Ok(1));
    assert_eq!(flag("%RETRY%shop"), Ok(2));
}

#[test]
fn a_model_that_is_missing_or_may_not_be_copied_refuses() {
    let state = shop();
    let (topic, model) = ("new".to_owned(), "nobody".to_owned());
    assert_eq!(
        auto_create(&state, "new", "nobody", 4, false),
        Err(AutoCreateError::NoModel { topic, model })
    );
    let (topic, model) = ("new".to_owned(), "orders".to_owned());
    assert_eq!(
        auto_create(&state, "new", "orders", 4, false),
        Err(AutoCreateError::NotInheritable { topic, model })
    );
}

#[test]
fn with_auto_creation_off_the_default_topic_is_no_model_even_if_an_administrator_made_it() {
    let mut state = founded_with(GroupFounding {
        auto_create_topic: false,
        ..founding()
    });
    let refused =
        |state: &State| auto_create(state, "new", "TBW102", 4, false).expect_err("switched off");
    assert!(matches!(refused(&state), AutoCreateError::NoModel { .. }));
    apply(&mut state, &[put(TopicConfig::new("TBW102", 8, 7))]).expect("good");
    assert!(matches!(
        refused(&state),
        AutoCreateError::NotInheritable { .. }
    ));
    apply(&mut state, &[put(TopicConfig::new("other", 8, 7))]).expect("good");
    assert_eq!(
        auto_create(&state, "new", "other", 4, false),
        Ok(TopicConfig::new("new", 4, 6))
    );
}

#[test]
fn a_retry_topic_is_created_even_without_a_model() {
    let state = founded_with(GroupFounding {
        auto_create_topic: false,
        ..founding()
    });
    assert_eq!(
        auto_create(&state, "%RETRY%g", "TBW102", 4, false),
        Ok(TopicConfig::new("%RETRY%g", 1, 6))
    );
    let unit = TopicConfig {
        sys_flag: 2,
        ..TopicConfig::new("%RETRY%g", 1, 6)
    };
    assert_eq!(auto_create(&state, "%RETRY%g", "nobody", 4, true), Ok(unit));
}

#[test]
fn a_heartbeat_creates_the_retry_topic_with_the_groups_queues() {
    let group = |queues| GroupConfig {
        retry_queue_nums: queues,
        ..GroupConfig::new("shop")
    };
    assert_eq!(
        retry_topic(&group(1), false, false),
        TopicConfig::new("%RETRY%shop", 1, 6)
    );
    let marked = TopicConfig {
        sys_flag: 2,
        order: true,
        ..TopicConfig::new("%RETRY%shop", 3, 6)
    };
    assert_eq!(retry_topic(&group(3), true, true), marked);
}

#[test]
fn whatever_is_created_may_be_proposed() {
    let state = shop();
    for queues in [-1, 0, i32::MAX] {
        let group = GroupConfig {
            retry_queue_nums: queues,
            ..GroupConfig::new("shop")
        };
        assert_eq!(
            state.check(&put(retry_topic(&group, false, false))),
            Ok(()),
            "{queues}"
        );
    }
    assert_eq!(state.check(&put_topic("new", 8)), Ok(()));
}

#[test]
fn six_topics_take_no_messages_from_clients() {
    let state = shop();
    let refusing: Vec<&str> = state
        .topics()
        .map(|topic| &*topic.config.name)
        .filter(|name| refuses_client_sends(name))
        .collect();
    let expected = [
        "SELF_TEST_TOPIC",
        "OFFSET_MOVED_EVENT",
        "SCHEDULE_TOPIC_XXXX",
        "RMQ_SYS_TRANS_HALF_TOPIC",
        "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    ];
    assert_eq!(refusing, expected);
    assert!(refuses_client_sends("TRANS_CHECK_MAX_TIME_TOPIC"));
}
