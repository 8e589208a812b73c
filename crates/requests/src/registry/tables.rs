//! The tables behind the registry: groups, their members, and the groups of each connection, within their bounds.

use std::sync::Arc;

use hashbrown::HashMap;

use super::bounds::{MAX_ENTRIES, MAX_GROUPS_OF_CONNECTION, MAX_SUBSCRIPTION_BYTES};
use super::heartbeat::{ConsumerData, Heartbeat, MessageModel};
use super::members::{Caller, GroupMember};
use super::subscriptions::ConsumerGroup;

/// What a heartbeat did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HeartbeatResult {
    /// Consumer groups whose members or subscriptions changed, and whose members want to know.
    pub changed: Vec<Arc<str>>,
    /// Consumer groups whose members do not agree from now on, and in what.
    pub disputes: Vec<(Arc<str>, String)>,
    /// The client must send its subscriptions: those known are none, or others.
    pub wants_subscriptions: bool,
    /// Entries that were left out because a bound is reached.
    pub left_out: usize,
}

/// All tables, under one lock.
pub(super) struct Tables {
    pub consumers: HashMap<Arc<str>, ConsumerGroup>,
    pub producers: HashMap<Arc<str>, HashMap<u64, GroupMember>>,
    pub connections: HashMap<u64, Groups>,
    pub entries: usize,
    pub subscription_bytes: usize,
}

/// The groups of one connection.
#[derive(Default)]
pub(super) struct Groups {
    pub consumers: Vec<Arc<str>>,
    pub producers: Vec<Arc<str>>,
}

impl Tables {
    pub fn new() -> Self {
        Self {
            consumers: HashMap::new(),
            producers: HashMap::new(),
            connections: HashMap::new(),
            entries: 0,
            subscription_bytes: 0,
        }
    }

    pub fn add_producer(
        &mut self,
        caller: &Caller,
        client_id: &str,
        group: &str,
        now_ms: u64,
    ) -> bool {
        let id = caller.connection;
        if let Some(member) = self
            .producers
            .get_mut(group)
            .and_then(|members| members.get_mut(&id))
        {
            member.seen_ms = now_ms;
            return true;
        }
        if !self.may_add(id, group) {
            return false;
        }
        let group: Arc<str> = Arc::from(group);
        self.entries += 1;
        self.connections
            .entry(id)
            .or_default()
            .producers
            .push(Arc::clone(&group));
        let member = GroupMember::new(caller, client_id, now_ms);
        self.producers.entry(group).or_default().insert(id, member);
        true
    }

    pub fn add_consumer(
        &mut self,
        caller: &Caller,
        heartbeat: &Heartbeat,
        data: &ConsumerData,
        now_ms: u64,
        result: &mut HeartbeatResult,
    ) {
        let known = self
            .consumers
            .get_key_value(&*data.group_name)
            .map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| Arc::from(&*data.group_name));
        let known = self
            .consumers
            .get(&name)
            .and_then(|group| group.members.get(&caller.connection));
        let is_new = known.is_none();
        if is_new {
            if !self.may_add(caller.connection, &name) {
                result.left_out += 1;
                return;
            }
            self.entries += 1;
            self.connections
                .entry(caller.connection)
                .or_default()
                .consumers
                .push(Arc::clone(&name));
        }
        let group = self
            .consumers
            .entry(Arc::clone(&name))
            .or_insert_with(ConsumerGroup::new);
        let mut member = GroupMember::new(caller, &heartbeat.client_id, now_ms);
        member.subscription_set = group
            .members
            .remove(&caller.connection)
            .and_then(|known| known.subscription_set);
        group.members.insert(caller.connection, member);
        group.model = data.message_model;
        group.consume_type = data.consume_type;
        group.consume_from = data.consume_from_where;
        let mut changed = is_new;
        if heartbeat.without_sub {
            result.wants_subscriptions |=
                group.subscriptions.is_empty() || group.fingerprint != heartbeat.fingerprint;
        } else {
            let before = group.subscription_bytes();
            let room = MAX_SUBSCRIPTION_BYTES - (self.subscription_bytes - before);
            let replaced = group.subscribe(caller.connection, data, room);
            changed |= replaced.changed;
            result.left_out += replaced.left_out;
            group.fingerprint = heartbeat.fingerprint;
            self.subscription_bytes = self.subscription_bytes - before + group.subscription_bytes();
        }
        if changed && group.model == MessageModel::Clustering {
            result.disputes.extend(
                group
                    .new_disputes()
                    .into_iter()
                    .map(|what| (Arc::clone(&name), what)),
            );
            result.changed.push(name);
        }
    }

    fn may_add(&self, id: u64, group: &str) -> bool {
        let of_connection = self
            .connections
            .get(&id)
            .map_or(0, |groups| groups.consumers.len() + groups.producers.len());
        self.entries < MAX_ENTRIES
            && of_connection < MAX_GROUPS_OF_CONNECTION
            // The longest that any client may have: what is longer, or has other characters, names nothing.
            && tern_wire::names::check_group_from(group, 0).is_ok()
    }

    pub fn remove_producer(&mut self, id: u64, group: &str) {
        let Some(members) = self.producers.get_mut(group) else {
            return;
        };
        if members.remove(&id).is_some() {
            self.entries -= 1;
        }
        if members.is_empty() {
            self.producers.remove(group);
        }
    }

    /// The group, if its other members want to know.
    pub fn remove_consumer(&mut self, id: u64, name: &str) -> Option<Arc<str>> {
        let (key, group) = self.consumers.get_key_value(name)?;
        let (key, model) = (Arc::clone(key), group.model);
        let group = self.consumers.get_mut(name)?;
        self.subscription_bytes -= group.subscription_bytes();
        let was_here = group.members.remove(&id).is_some();
        group.forget_unsaid();
        group.new_disputes(); // what ends is not said, but is said again when it comes back
        self.subscription_bytes += group.subscription_bytes();
        if !was_here {
            return None;
        }
        self.entries -= 1;
        if group.members.is_empty() {
            self.subscription_bytes -= group.subscription_bytes();
            self.consumers.remove(name);
        }
        (model == MessageModel::Clustering).then_some(key)
    }

    pub fn forget(
        &mut self,
        id: u64,
        list: impl Fn(&mut Groups) -> &mut Vec<Arc<str>>,
        group: &str,
    ) {
        let Some(groups) = self.connections.get_mut(&id) else {
            return;
        };
        list(groups).retain(|name| **name != *group);
        if groups.consumers.is_empty() && groups.producers.is_empty() {
            self.connections.remove(&id);
        }
    }
}
