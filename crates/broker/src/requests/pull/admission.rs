//! The checks that a pull passes, in RocketMQ's order: the first one that fails decides the code.

use std::sync::Arc;
use std::time::Duration;

use tern_state::{GroupConfig, State, Topic, perm};
use tern_wire::codes::response;
use tern_wire::headers::PullRequest;
use tern_wire::names::{check_group_from, check_topic};
use tern_wire::sys_flag::pull as flags;
use tern_wire::tags::Subscription;
use tokio::time::Instant;

use super::{Pull, Pulls};
use crate::refused::{Forbidden, Refused};
use crate::requests::reading::MAX_MESSAGES;
use crate::requests::reply::{Incoming, Reply};
use crate::requests::second_look::Halt;
use crate::services::commits::Place;
use crate::services::holds::QueueKey;
use crate::services::registry::Subscribed;
use crate::services::registry::heartbeat::MessageModel;

/// A pull is never parked for longer.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// What the checks leave of a request.
pub(super) struct Admitted {
    pub topic: Arc<str>,
    pub queue: QueueKey,
    pub filter: Arc<Subscription>,
    pub most: usize,
    pub begin: i64,
    pub until: Option<Instant>,
    pub topic_sys_flag: i32,
    pub group_sys_flag: i32,
}

impl Admitted {
    pub fn with(self, reply: Reply) -> Pull {
        Pull {
            reply,
            topic: self.topic,
            queue: self.queue,
            filter: self.filter,
            most: self.most,
            begin: self.begin,
            next: u64::try_from(self.begin).unwrap_or(0),
            until: self.until,
            hold: None,
            topic_sys_flag: self.topic_sys_flag,
            group_sys_flag: self.group_sys_flag,
        }
    }
}

impl Pulls {
    /// All checks, and the offset that rides on the pull.
    pub(super) fn admit(&self, incoming: &Incoming, leads: bool) -> Result<Admitted, Halt> {
        if !leads && !self.settings.slave_read {
            return Err(Refused::not_leader(&self.roles.view()).into());
        }
        let command = &incoming.command;
        let header = PullRequest::decode(&command.fields)?;
        check_group_from(header.consumer_group, command.version)?;
        check_topic(header.topic)?;
        let state = self.views.state();
        let group_sys_flag = self.check_group(&state, header.consumer_group, leads)?;
        let topic = readable_topic(&state, header.topic)?;
        let queue_id = queue_of(topic, header.queue_id)?;
        let filter = self.filter(&header, state.group(header.consumer_group))?;
        if leads && header.sys_flag & flags::COMMIT_OFFSET != 0 {
            self.commit(&state, topic, queue_id, &header);
        }
        Ok(Admitted {
            topic: Arc::clone(&topic.config.name),
            queue: (topic.id, queue_id),
            filter,
            most: usize::try_from(header.max_messages)
                .unwrap_or(0)
                .clamp(1, MAX_MESSAGES),
            begin: header.queue_offset,
            until: deadline(&header),
            topic_sys_flag: topic.config.sys_flag.cast_signed(),
            group_sys_flag,
        })
    }

    /// The group's flags. Where groups come into being by use, a replica that does not lead reads for one that it
    /// does not know.
    fn check_group(&self, state: &State, name: &str, leads: bool) -> Result<i32, Halt> {
        let Some(group) = state.group(name) else {
            if !leads && self.settings.creates_group(name) {
                return Ok(0);
            }
            return Err(Halt::no_group(&self.settings, name));
        };
        if !group.consume_enable {
            let remark = format!("subscription group no permission, {name}");
            return Err(Halt::Doubt(Refused::forbidden(Forbidden::Group, remark)));
        }
        Ok(group.group_sys_flag)
    }

    /// The filter in the request, or the one that the group's heartbeats announced.
    fn filter(
        &self,
        header: &PullRequest<'_>,
        group: Option<&GroupConfig>,
    ) -> Result<Arc<Subscription>, Halt> {
        if header.sys_flag & flags::CLASS_FILTER != 0 {
            let remark = "The broker does not support consumer to filter message by a class";
            return Err(Refused::new(response::SYSTEM_ERROR, remark).into());
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
        let gone = |remark| Refused::new(response::SUBSCRIPTION_NOT_EXIST, remark);
        let check_model = |model| {
            if model == MessageModel::Broadcasting
                && group.is_some_and(|group| !group.consume_broadcast_enable)
            {
                let remark = format!(
                    "the consumer group[{}] not allow by broadcast",
                    header.consumer_group
                );
                return Err(Refused::forbidden(Forbidden::Broadcast, remark));
            }
            Ok(())
        };
        match self.clients.subscribed(header.consumer_group, header.topic) {
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
                    return Err(Refused::new(
                        response::SUBSCRIPTION_NOT_LATEST,
                        "the consumer's subscription not latest",
                    )
                    .into());
                }
                Ok(filter)
            }
        }
    }

    fn commit(&self, state: &State, topic: &Topic, queue_id: u32, header: &PullRequest<'_>) {
        if let (Some(group), Ok(offset)) = (
            state.group(header.consumer_group),
            u64::try_from(header.commit_offset),
        ) {
            let place = Place {
                group: Arc::clone(&group.name),
                topic: Arc::clone(&topic.config.name),
                topic_id: topic.id,
                queue_id,
            };
            self.commits.add(&place, offset);
        }
    }
}

fn readable_topic<'a>(state: &'a State, name: &str) -> Result<&'a Topic, Halt> {
    let topic = state
        .topic(name)
        .ok_or_else(|| Halt::Doubt(Refused::no_topic(name)))?;
    if topic.config.perm & perm::READ == 0 {
        let remark = format!("the topic[{name}] pulling message is forbidden");
        return Err(Halt::Doubt(Refused::forbidden(Forbidden::Topic, remark)));
    }
    Ok(topic)
}

fn queue_of(topic: &Topic, queue_id: i32) -> Result<u32, Halt> {
    let queues = topic.config.read_queues;
    u32::try_from(queue_id)
        .ok()
        .filter(|queue_id| *queue_id < queues)
        .ok_or_else(|| {
            Halt::Doubt(Refused::invalid(format!(
                "queueId[{queue_id}] is illegal, topic:[{}] topicConfig.readQueueNums:[{queues}]",
                topic.config.name
            )))
        })
}

fn deadline(header: &PullRequest<'_>) -> Option<Instant> {
    let wait =
        Duration::from_millis(u64::try_from(header.suspend_timeout_ms).unwrap_or(0)).min(MAX_WAIT);
    (header.sys_flag & flags::SUSPEND != 0 && !wait.is_zero()).then(|| Instant::now() + wait)
}

fn no_sql() -> Refused {
    Refused::no_filter("SQL92")
}

fn not_parsed() -> Refused {
    Refused::new(
        response::SUBSCRIPTION_PARSE_FAILED,
        "parse the consumer's subscription failed",
    )
}
