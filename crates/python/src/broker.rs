//! One replica as the control plane sees it: start, stop, look, propose.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tern_broker::{Answers, Creations, Node, NodeEvents, Refused, RoleView, Services, Then};
use tern_log::LogError;
use tern_net::{Bridge, Connection, Credit, Event, Handler};
use tern_replication::{Member, Role, replica_id, replica_number};
use tern_state::TopicConfig;
use tern_wire::{Command, codes};

use crate::endpoint::Endpoint;
use crate::groups;
use crate::inspect::{self, ClientRow, ConsumersRow, QueueRange};
use crate::options::options_of;

/// A turn of the log thread may write, and a disk may be slow.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);

/// A replica of a broker group; its events come out of the endpoint's queue.
#[pyclass(frozen, module = "ternmq._core")]
pub(crate) struct Broker {
    node: Node,
    events: Arc<Events>,
}

/// Tells the control plane what happens, through the endpoint's bridge.
struct Events {
    bridge: Arc<Bridge>,
    members: Vec<Member>,
}

impl Events {
    fn member(&self, id: u64) -> Option<String> {
        let number = replica_number(id);
        let member = self.members.iter().find(|member| member.number == number)?;
        Some(member.id.clone())
    }
}

impl NodeEvents for Events {
    fn role_changed(&self, view: &RoleView) {
        self.bridge.queue().push(Event::Role {
            role: role_name(view.role),
            term: view.term,
            leader: self.member(view.leader),
        });
    }

    fn topics_changed(&self, counter: u64, changed_at_ms: u64) {
        self.bridge.queue().push(Event::Topics {
            counter: counter.cast_signed(),
            timestamp_ms: changed_at_ms.cast_signed(),
        });
    }

    fn stopped(&self, sentence: &str) {
        self.bridge.queue().push(Event::Stopped {
            sentence: sentence.to_owned(),
        });
    }

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        Handler::request(&*self.bridge, connection, command, credit);
    }

    fn closed(&self, connection: &Arc<Connection>) {
        Handler::closed(&*self.bridge, connection);
    }
}

#[pymethods]
impl Broker {
    #[new]
    fn new(py: Python<'_>, endpoint: &Endpoint, config: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options = options_of(config)?;
        let events = Arc::new(Events {
            bridge: Arc::clone(&endpoint.bridge),
            members: options.members.clone(),
        });
        let (handle, told) = (
            endpoint.handle.clone(),
            Arc::clone(&events) as Arc<dyn NodeEvents>,
        );
        let node = py
            .detach(|| Node::start(options, &handle, told))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { node, events })
    }

    /// Stops cleanly; waits up to `timeout_ms` for what is appended to be decided.
    fn stop(&self, py: Python<'_>, timeout_ms: u64) {
        py.detach(|| self.node.stop(Duration::from_millis(timeout_ms)));
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = PyDict::new(py);
        let services = self.node.replaying();
        let roles = self.node.roles();
        let told = roles.told();
        let role = if self.node.services().is_some() {
            role_name(told.role)
        } else {
            "starting"
        };
        status.set_item("role", role)?;
        status.set_item("term", told.term)?;
        status.set_item("leader", self.events.member(told.leader))?;
        status.set_item("leader_address", roles.view().leader_address.as_deref())?;
        status.set_item("member", &self.node.options().member)?;
        status.set_item("group", &self.node.options().settings.group)?;
        let group_id = u128::from_be_bytes(self.node.standing().phase().1);
        status.set_item("group_id", format!("{group_id:032x}"))?;
        let awaited = self.node.standing().awaited();
        let waiting_for: Vec<String> = awaited
            .into_iter()
            .filter_map(|number| self.events.member(replica_id(number, 1)))
            .collect();
        status.set_item("waiting_for", waiting_for)?;
        let Some(services) = services else {
            return Ok(status);
        };
        let state = services.views.state();
        status.set_item("applied_index", state.applied().0)?;
        status.set_item("applied_position", services.views.applied_position())?;
        status.set_item("last_index", services.views.log.end().index)?;
        status.set_item("last_position", services.views.log.end().position)?;
        status.set_item("state_hash", format!("{:016x}", state.hash()))?;
        Ok(status)
    }

    /// Topics: name, read and write queues, perm, flags, order, filter type, attributes.
    fn topics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let topics = PyList::empty(py);
        let Some(services) = self.node.services() else {
            return Ok(topics);
        };
        for topic in services.views.state().topics() {
            topics.append(topic_row(py, &topic.config)?)?;
        }
        Ok(topics)
    }

    /// One topic, as a row of `topics`.
    fn topic<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(services) = self.node.services() else {
            return Ok(None);
        };
        let state = services.views.state();
        let topic = state.topic(name);
        topic.map(|topic| topic_row(py, &topic.config)).transpose()
    }

    /// Counter and timestamp of the topic table.
    fn topic_version(&self) -> (u64, u64) {
        self.node.services().map_or((0, 0), |services| {
            let version = services.views.state().topic_version();
            (version.counter, version.changed_at_ms)
        })
    }

    /// Names of the subscription groups.
    fn groups(&self) -> Vec<String> {
        self.node.services().map_or_else(Vec::new, |services| {
            services
                .views
                .state()
                .groups()
                .map(|group| group.name.to_string())
                .collect()
        })
    }

    /// Create or change a topic; the outcome is a `PROPOSED` event.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (proposal_id, name, read, write, perm, sys_flag, order, filter_type, attributes))]
    fn put_topic(
        &self,
        py: Python<'_>,
        proposal_id: u64,
        name: &str,
        read: u32,
        write: u32,
        perm: u32,
        sys_flag: u32,
        order: bool,
        filter_type: &str,
        attributes: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let mut config = TopicConfig::new(name, write, perm);
        config.read_queues = read;
        config.sys_flag = sys_flag;
        config.order = order;
        config.multi_tag = filter_type == "MULTI_TAG";
        for (key, value) in attributes {
            config.attributes.push((key.extract()?, value.extract()?));
        }
        py.detach(|| {
            self.propose(proposal_id, |creations, then| {
                creations.put_topic(config, then);
            });
        });
        Ok(())
    }

    /// Create a topic as a send to it would, if there is none of that name; the outcome is a `PROPOSED` event.
    fn use_topic(&self, py: Python<'_>, proposal_id: u64, name: &str, queues: i32) {
        py.detach(|| {
            self.propose(proposal_id, |creations, then| {
                creations.use_topic(name.into(), queues, then);
            });
        });
    }

    /// Subscription groups, each as a dict.
    fn group_configs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let configs = PyList::empty(py);
        if let Some(services) = self.node.services() {
            for group in services.views.state().groups() {
                configs.append(groups::to_dict(py, group)?)?;
            }
        }
        Ok(configs)
    }

    /// Counter and timestamp of the group table.
    fn group_version(&self) -> (u64, u64) {
        self.look(|services| {
            let version = services.views.state().group_version();
            (version.counter, version.changed_at_ms)
        })
        .unwrap_or_default()
    }

    /// Create or change a subscription group; the outcome is a `PROPOSED` event.
    fn put_group(
        &self,
        py: Python<'_>,
        proposal_id: u64,
        config: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let config = groups::from_dict(config)?;
        py.detach(|| {
            self.propose(proposal_id, |creations, then| {
                creations.put_group(config, then);
            });
        });
        Ok(())
    }

    /// Delete a topic with its messages and offsets; the outcome is a `PROPOSED` event.
    fn delete_topic(&self, py: Python<'_>, proposal_id: u64, name: &str) {
        py.detach(|| {
            self.propose(proposal_id, |creations, then| {
                creations.delete_topic(name.into(), then);
            });
        });
    }

    /// Delete a subscription group, with `clean_offsets` also its offsets; the outcome is a `PROPOSED` event.
    fn delete_group(&self, py: Python<'_>, proposal_id: u64, name: &str, clean_offsets: bool) {
        py.detach(|| {
            self.propose(proposal_id, |creations, then| {
                creations.delete_group(name.into(), clean_offsets, then);
            });
        });
    }

    /// Queue id, oldest offset, next offset and last store time of each queue of a topic. Reads the log.
    fn queue_ranges(&self, py: Python<'_>, topic: &str) -> PyResult<Vec<QueueRange>> {
        py.detach(|| self.look(|services| inspect::queue_ranges(services, topic)))
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(unreadable)
    }

    /// Store times of messages named by queue id and offset. Reads the log.
    #[allow(clippy::needless_pass_by_value)] // what Python passes is owned
    fn store_times(
        &self,
        py: Python<'_>,
        topic: &str,
        places: Vec<(u32, u64)>,
    ) -> PyResult<Vec<i64>> {
        py.detach(|| self.look(|services| inspect::store_times(services, topic, &places)))
            .transpose()
            .map(|times| times.unwrap_or_else(|| vec![0; places.len()]))
            .map_err(unreadable)
    }

    /// Topic, queue id and offset of all that a group has committed.
    fn offsets(&self, group: &str) -> Vec<(String, u32, u64)> {
        self.look(|services| inspect::offsets(services, group))
            .unwrap_or_default()
    }

    /// Groups that are connected for a topic or have offsets in it.
    fn groups_of_topic(&self, topic: &str) -> Vec<String> {
        self.look(|services| inspect::groups_of_topic(services, topic))
            .unwrap_or_default()
    }

    /// A consumer group as it is connected.
    fn consumers(&self, group: &str) -> Option<ConsumersRow> {
        self.look(|services| inspect::consumers(services, group))
            .flatten()
    }

    /// Connected members of a producer group.
    fn producers(&self, group: &str) -> Vec<ClientRow> {
        self.look(|services| inspect::producers(services, group))
            .unwrap_or_default()
    }

    /// Store time of the oldest message that is kept, -1 if there is none. Reads the log.
    fn oldest_store_time(&self, py: Python<'_>) -> PyResult<i64> {
        py.detach(|| self.look(inspect::oldest_store_time))
            .transpose()
            .map(|time| time.unwrap_or(-1))
            .map_err(unreadable)
    }

    /// Level, messages put and messages stored of each delay level that has any.
    fn delay_levels(&self) -> Vec<(u16, u64, u64)> {
        self.look(inspect::delay_levels).unwrap_or_default()
    }

    /// Totals since the start.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        if let Some(services) = self.node.services() {
            let totals = services.counters.totals();
            counters.set_item("put_messages", totals.put_messages)?;
            counters.set_item("put_bytes", totals.put_bytes)?;
            counters.set_item("put_failed", totals.put_failed)?;
            counters.set_item("get_messages", totals.get_messages)?;
            counters.set_item("get_bytes", totals.get_bytes)?;
            counters.set_item("get_found", totals.get_found)?;
            counters.set_item("get_missed", totals.get_missed)?;
            counters.set_item("messages_applied", services.views.applied_records())?;
            counters.set_item("log_end_position", services.views.log.end().position)?;
            counters.set_item("rot_detected", services.views.damage.count())?;
            counters.set_item("timestamp_falls", services.views.timestamp_falls())?;
            counters.set_item("applied_position", services.views.applied_position())?;
        }
        Ok(counters)
    }

    /// How far the other members are, if this replica leads: member, index up to which it holds everything durably,
    /// whether it answered lately. Waits for a turn of the log thread, two seconds at most.
    fn progress(&self, py: Python<'_>) -> Vec<(String, u64, bool)> {
        let progress = py.detach(|| self.node.progress(PROGRESS_WITHIN));
        progress
            .into_iter()
            .filter_map(|one| Some((self.events.member(one.replica)?, one.matched, one.active)))
            .collect()
    }

    /// Have consumers go to the leader: refuse their pulls, those that wait as well.
    fn send_away(&self) {
        self.node.send_away();
    }

    /// Hand leadership to a member of the group.
    fn transfer_leader(&self, member: &str) -> PyResult<()> {
        let members = &self.node.options().members;
        let target = members
            .iter()
            .find(|known| known.id == member)
            .ok_or_else(|| {
                PyValueError::new_err(format!("{member:?} is no member of this group"))
            })?;
        self.node.mailbox().transfer(replica_id(target.number, 1));
        Ok(())
    }
}

impl Broker {
    /// Reads; nothing while the replica does not serve yet.
    fn look<T>(&self, read: impl FnOnce(&Services) -> T) -> Option<T> {
        self.node.services().map(|services| read(&services))
    }

    /// Starts a change whose outcome is an event.
    fn propose(&self, proposal_id: u64, start: impl FnOnce(&Arc<Creations>, Then)) {
        let bridge = Arc::clone(&self.events.bridge);
        let proposed = move |code, remark| {
            bridge.queue().push(Event::Proposed {
                proposal_id,
                code,
                remark,
            });
        };
        let Some(services) = self.node.services() else {
            let remark = "this replica is starting".to_owned();
            return proposed(codes::response::SERVICE_NOT_AVAILABLE, Some(remark));
        };
        let then = Box::new(move |put: Result<(), Refused>, _: &mut Answers| match put {
            Ok(()) => proposed(codes::response::SUCCESS, None),
            Err(refused) => proposed(refused.code, Some(refused.remark.into_owned())),
        });
        start(&services.creations, then);
    }
}

/// Name, read and write queues, perm, flags, order, filter type, attributes.
fn topic_row<'py>(py: Python<'py>, config: &TopicConfig) -> PyResult<Bound<'py, PyTuple>> {
    let attributes = PyDict::new(py);
    for (name, value) in &config.attributes {
        attributes.set_item(name, value)?;
    }
    let filter_type = if config.multi_tag {
        "MULTI_TAG"
    } else {
        "SINGLE_TAG"
    };
    (
        &*config.name,
        config.read_queues,
        config.write_queues,
        config.perm,
        config.sys_flag,
        config.order,
        filter_type,
        attributes,
    )
        .into_pyobject(py)
}

/// The log cannot be read: the handler that asked fails, the replica goes on.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn unreadable(error: LogError) -> PyErr {
    PyOSError::new_err(error.to_string())
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
    }
}
