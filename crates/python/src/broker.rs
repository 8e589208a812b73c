//! One replica as the control plane sees it: start, stop, look, propose.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tern_broker::{
    ChangeCallback, Lag, MetadataChanges, Node, NodeEvents, RequestError, ResponseBatch, Services,
};
use tern_log::LogError;
use tern_replication::replica_id;
use tern_state::{BrokerPermission, TopicConfig};
use tern_wire::codes;

use crate::endpoint::Endpoint;
use crate::inspect::{self, ClientRow, ConsumersRow};
use crate::options::options_of;
use crate::replica_events::{ReplicaEvent, ReplicaEvents};
use crate::topics::topic_row;
use crate::{groups, status};

/// A turn of the log thread may write, and a disk may be slow.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);

/// Member id, address, last frame, bytes and milliseconds behind.
type FollowerRow = (String, Option<String>, u64, u64, u64);

/// A replica of a broker group; its events come out of the endpoint's queue.
#[pyclass(frozen, module = "ternmq._core")]
pub(crate) struct Broker {
    node: Node,
    events: Arc<ReplicaEvents>,
}

#[pymethods]
impl Broker {
    #[new]
    fn new(py: Python<'_>, endpoint: &Endpoint, config: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options = options_of(config)?;
        let events = Arc::new(ReplicaEvents::new(
            Arc::clone(&endpoint.bridge),
            options.members.clone(),
        ));
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
        status::status(py, &self.node, &self.events)
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
            self.propose(proposal_id, |metadata_changes, then| {
                metadata_changes.put_topic(config, then);
            });
        });
        Ok(())
    }

    /// Create a topic as a send to it would, if there is none of that name; the outcome is a `PROPOSED` event.
    fn use_topic(&self, py: Python<'_>, proposal_id: u64, name: &str, queues: i32) {
        py.detach(|| {
            self.propose(proposal_id, |metadata_changes, then| {
                metadata_changes.use_topic(name.into(), queues, then);
            });
        });
    }

    /// The bits of permission that topics are shown with at most, and whether sends are rejected.
    fn permission(&self) -> (u32, bool) {
        let permission = self
            .look(|services| services.views.state().permission())
            .unwrap_or_default();
        (permission.bits(), permission.rejects_sends)
    }

    /// Change what clients may do at the group as a whole, of what is given; the outcome is a `PROPOSED` event.
    #[pyo3(signature = (proposal_id, read_only, rejects_sends))]
    fn put_permission(
        &self,
        py: Python<'_>,
        proposal_id: u64,
        read_only: Option<bool>,
        rejects_sends: Option<bool>,
    ) {
        let change = move |before: BrokerPermission| BrokerPermission {
            read_only: read_only.unwrap_or(before.read_only),
            rejects_sends: rejects_sends.unwrap_or(before.rejects_sends),
        };
        py.detach(|| {
            self.propose(proposal_id, |metadata_changes, then| {
                metadata_changes.put_permission(change, then);
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
            self.propose(proposal_id, |metadata_changes, then| {
                metadata_changes.put_group(config, then);
            });
        });
        Ok(())
    }

    /// Delete a topic with its messages and offsets; the outcome is a `PROPOSED` event.
    fn delete_topic(&self, py: Python<'_>, proposal_id: u64, name: &str) {
        py.detach(|| {
            self.propose(proposal_id, |metadata_changes, then| {
                metadata_changes.delete_topic(name.into(), then);
            });
        });
    }

    /// Delete a subscription group, with `clean_offsets` also its offsets; the outcome is a `PROPOSED` event.
    fn delete_group(&self, py: Python<'_>, proposal_id: u64, name: &str, clean_offsets: bool) {
        py.detach(|| {
            self.propose(proposal_id, |metadata_changes, then| {
                metadata_changes.delete_group(name.into(), clean_offsets, then);
            });
        });
    }

    /// Oldest offset and next offset of a queue.
    fn queue_range(&self, topic: &str, queue_id: u32) -> (u64, u64) {
        self.look(|services| inspect::queue_range(services, topic, queue_id))
            .unwrap_or_default()
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

    /// Groups that are connected with a subscription to a topic.
    fn subscribers(&self, topic: &str) -> Vec<String> {
        self.look(|services| inspect::subscribers(services, topic))
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

    /// Store time of the first message in the frames from an index on, and the index to go on at. Reads the log.
    fn first_stored(
        &self,
        py: Python<'_>,
        index: u64,
        max_bytes: usize,
    ) -> PyResult<(Option<i64>, Option<u64>)> {
        py.detach(|| self.look(|services| inspect::first_stored(services, index, max_bytes)))
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(unreadable)
    }

    /// Messages put and messages stored of a delay level; none if it is no level.
    fn delay_level(&self, level: u16) -> Option<(u64, u64)> {
        self.look(|services| inspect::delay_level(services, level))
            .flatten()
    }

    /// Totals since the start.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        status::counters(py, &self.node)
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

    /// How far behind the other members are, as this leader knows: member, address, the last frame that it has persisted,
    /// bytes of the log that it lacks, and for how long it has lacked something, ms. Reads the log.
    fn followers(&self, py: Python<'_>) -> Vec<FollowerRow> {
        let followers = py.detach(|| self.node.followers()).into_iter();
        followers
            .filter_map(|one| {
                let member = self.events.member(replica_id(one.number, 1))?;
                let Lag { bytes, ms, .. } = one.lag;
                Some((member, one.address, one.last_index, bytes, ms))
            })
            .collect()
    }

    /// Have consumers go to the leader: refuse their pulls, those that wait as well.
    fn send_away(&self) {
        self.node.send_away();
    }

    /// Make this slave the master. Answers its last frame and when the messages of that were stored, ms since 1970.
    fn promote(&self, py: Python<'_>, force: bool) -> PyResult<(u64, u64)> {
        let asked = py.detach(|| self.node.mailbox().promote(force, PROGRESS_WITHIN));
        match asked {
            Some(Ok(promotion)) => Ok((promotion.last_index, promotion.stored_ms)),
            Some(Err(refusal)) => Err(PyValueError::new_err(refusal.to_string())),
            None => Err(PyValueError::new_err(
                "this replica did not answer in time; ask again",
            )),
        }
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
    fn propose(&self, proposal_id: u64, start: impl FnOnce(&Arc<MetadataChanges>, ChangeCallback)) {
        let events = Arc::clone(&self.events);
        let proposed = move |code, remark| {
            events.push(ReplicaEvent::Proposed {
                proposal_id,
                code,
                remark,
            });
        };
        let Some(services) = self.node.services() else {
            let remark = "this replica is starting".to_owned();
            return proposed(codes::response::SERVICE_NOT_AVAILABLE, Some(remark));
        };
        let then = Box::new(
            move |put: Result<(), RequestError>, _: &mut ResponseBatch| match put {
                Ok(()) => proposed(codes::response::SUCCESS, None),
                Err(refused) => proposed(refused.code, Some(refused.remark.into_owned())),
            },
        );
        start(&services.metadata_changes, then);
    }
}

/// The log cannot be read: the handler that asked fails, the replica goes on.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn unreadable(error: LogError) -> PyErr {
    PyOSError::new_err(error.to_string())
}
