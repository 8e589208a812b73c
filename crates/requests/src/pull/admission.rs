//! The checks that a pull passes, in RocketMQ's order: the first one that fails decides the code.

use std::sync::Arc;
use std::time::Duration;

use tern_state::{GroupConfig, State, Topic, perm};
use tern_wire::codes::response;
use tern_wire::headers::PullRequest;
use tern_wire::names::{check_group_from, check_topic};
use tern_wire::sys_flag::pull as flags;
use tern_wire::tags::Subscription;

use crate::effects::Effects;
use crate::handler::{NotServed, View};
use crate::queues::GroupQueue;
use crate::queues::QueueKey;
use crate::reading::MAX_MESSAGES;
use crate::registry::heartbeat::MessageModel;
use crate::registry::{ClientRegistry, Subscribed};
use crate::request_error::{Forbidden, RequestError};

/// A pull is never parked for longer.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// A pull that passed the checks.
#[derive(Debug)]
pub struct Pull {
    pub(super) topic: Arc<str>,
    pub(super) queue: QueueKey,
    pub(super) filter: Arc<Subscription>,
    pub(super) most: usize,
    /// Where the consumer wants to begin.
    pub(super) begin: i64,
    /// Everything from there up to here was looked at, and the filter wants none of it.
    pub(super) next: u64,
    /// Where in the log the last message stands that was looked at.
    pub(super) looked_at: Option<u64>,
    /// For how long it may be parked.
    pub(super) wait: Option<Duration>,
    pub(super) topic_sys_flag: i32,
    pub(super) group_sys_flag: i32,
    pub(super) brokers: GroupBrokers,
}

/// From which broker ids a group reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupBrokers {
    /// While it keeps up.
    pub usual: u64,
    /// While it is far behind.
    pub when_far_behind: u64,
}

/// All checks, and the offset that rides on the pull.
pub(super) fn admit(
    header: &PullRequest<'_>,
    version: i32,
    view: &View<'_>,
    effects: &mut Effects,
) -> Result<Pull, NotServed> {
    if !view.leads() && !view.settings.slave_read {
        return Err(RequestError::not_leader(&view.role).into());
    }
    check_group_from(header.consumer_group, version)?;
    check_topic(header.topic)?;
    let state = &view.state;
    let (group_sys_flag, brokers) = check_group(header.consumer_group, view)?;
    let topic = readable_topic(state, header.topic)?;
    let queue_id = queue_of(topic, header.queue_id)?;
    let filter = filter(header, state.group(header.consumer_group), view.clients)?;
    if view.leads() && header.sys_flag & flags::COMMIT_OFFSET != 0 {
        effects.commit = commit(state, topic, queue_id, header);
    }
    Ok(Pull {
        topic: Arc::clone(&topic.config.name),
        queue: (topic.id, queue_id),
        filter,
        most: usize::try_from(header.max_messages)
            .unwrap_or(0)
            .clamp(1, MAX_MESSAGES),
        begin: header.queue_offset,
        next: u64::try_from(header.queue_offset).unwrap_or(0),
        looked_at: None,
        wait: wait(header),
        topic_sys_flag: topic.config.sys_flag.cast_signed(),
        group_sys_flag,
        brokers,
    })
}

/// The group's flags, and whence it reads. Where groups come into being by use, a replica that does not lead reads for one that it
/// does not know.
fn check_group(name: &str, view: &View<'_>) -> Result<(i32, GroupBrokers), NotServed> {
    let Some(group) = view.state.group(name) else {
        if !view.leads() && view.settings.creates_group(name) {
            return Ok((0, GroupBrokers::of(&GroupConfig::new(name))));
        }
        return Err(NotServed::no_group(view.settings, name));
    };
    if !group.consume_enable {
        let remark = format!("subscription group no permission, {name}");
        return Err(NotServed::StaleView(RequestError::forbidden(
            Forbidden::Group,
            remark,
        )));
    }
    Ok((group.group_sys_flag, GroupBrokers::of(group)))
}

impl GroupBrokers {
    fn of(group: &GroupConfig) -> Self {
        Self {
            usual: group.broker_id,
            when_far_behind: group.which_broker_when_consume_slowly,
        }
    }
}

/// The filter in the request, or the one that the group's heartbeats announced.
fn filter(
    header: &PullRequest<'_>,
    group: Option<&GroupConfig>,
    clients: &ClientRegistry,
) -> Result<Arc<Subscription>, NotServed> {
    if header.sys_flag & flags::CLASS_FILTER != 0 {
        let remark = "The broker does not support consumer to filter message by a class";
        return Err(RequestError::new(response::SYSTEM_ERROR, remark).into());
    }
    if header.sys_flag & flags::SUBSCRIPTION != 0 {
        let expression = header.subscription.unwrap_or_default();
        if header
            .expression_type
            .is_some_and(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("TAG"))
        {
            return Err(no_sql().into());
        }
        let parsed = Subscription::parse(expression).map_err(|_| not_parsed());
        return Ok(Arc::new(parsed?));
    }
    let gone = |remark| RequestError::new(response::SUBSCRIPTION_NOT_EXIST, remark);
    let check_model = |model| {
        if model == MessageModel::Broadcasting
            && group.is_some_and(|group| !group.consume_broadcast_enable)
        {
            let remark = format!(
                "the consumer group[{}] not allow by broadcast",
                header.consumer_group
            );
            return Err(RequestError::forbidden(Forbidden::Broadcast, remark));
        }
        Ok(())
    };
    match clients.subscribed(header.consumer_group, header.topic) {
        Subscribed::NoGroup => Err(gone("the consumer's group info not exist").into()),
        Subscribed::NoTopic { model } => {
            check_model(model)?;
            Err(gone("the consumer's subscription not exist").into())
        }
        Subscribed::To {
            model,
            version,
            filter,
        } => {
            check_model(model)?;
            let filter = filter.ok_or_else(no_sql)?;
            // A heartbeat with a new version may be lost or late, which blinds a new consumer for up to 30 s. For
            // a filter that passes everything the version does not matter.
            if version < header.subscription_version && *filter != Subscription::All {
                return Err(RequestError::new(
                    response::SUBSCRIPTION_NOT_LATEST,
                    "the consumer's subscription not latest",
                )
                .into());
            }
            Ok(filter)
        }
    }
}

/// The commit that rides on the pull.
fn commit(
    state: &State,
    topic: &Topic,
    queue_id: u32,
    header: &PullRequest<'_>,
) -> Option<(GroupQueue, u64)> {
    let group = state.group(header.consumer_group)?;
    let offset = u64::try_from(header.commit_offset).ok()?;
    let queue = GroupQueue {
        group: Arc::clone(&group.name),
        topic: Arc::clone(&topic.config.name),
        topic_id: topic.id,
        queue_id,
    };
    Some((queue, offset))
}

fn readable_topic<'a>(state: &'a State, name: &str) -> Result<&'a Topic, NotServed> {
    let topic = state
        .topic(name)
        .ok_or_else(|| NotServed::StaleView(RequestError::no_topic(name)))?;
    if topic.config.perm & perm::READ == 0 {
        let remark = format!("the topic[{name}] pulling message is forbidden");
        return Err(NotServed::StaleView(RequestError::forbidden(
            Forbidden::Topic,
            remark,
        )));
    }
    Ok(topic)
}

fn queue_of(topic: &Topic, queue_id: i32) -> Result<u32, NotServed> {
    let queues = topic.config.read_queues;
    u32::try_from(queue_id)
        .ok()
        .filter(|queue_id| *queue_id < queues)
        .ok_or_else(|| {
            NotServed::StaleView(RequestError::invalid(format!(
                "queueId[{queue_id}] is illegal, topic:[{}] topicConfig.readQueueNums:[{queues}]",
                topic.config.name
            )))
        })
}

/// For how long the pull may be parked.
fn wait(header: &PullRequest<'_>) -> Option<Duration> {
    let wait =
        Duration::from_millis(u64::try_from(header.suspend_timeout_ms).unwrap_or(0)).min(MAX_WAIT);
    (header.sys_flag & flags::SUSPEND != 0 && !wait.is_zero()).then_some(wait)
}

fn no_sql() -> RequestError {
    RequestError::no_filter("SQL92")
}

fn not_parsed() -> RequestError {
    RequestError::new(
        response::SUBSCRIPTION_PARSE_FAILED,
        "parse the consumer's subscription failed",
    )
}
