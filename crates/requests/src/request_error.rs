//! Why a request is not served, as its sender is told.

use std::borrow::Cow;

use tern_replica::{Outcome, RejectReason, SlaveFault};
use tern_wire::codes::response;
use tern_wire::headers::LeaderHint;
use tern_wire::names::NameError;
use tern_wire::{Command, HeaderError};

use crate::role_view::RoleView;

/// A refusal: response code, remark, and where the leader is if that is the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// Response code, [`tern_wire::codes::response`].
    pub code: i32,
    /// For people.
    pub remark: Cow<'static, str>,
    leader: Option<KnownLeader>,
    forbidden: Option<Forbidden>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownLeader {
    address: Option<String>,
    term: u64,
}

/// Field `forbiddenType` of an answer 16 to a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    Group = 2,
    Topic = 3,
    Broadcast = 4,
}

impl RequestError {
    /// A refusal with a code and a remark.
    pub fn new(code: i32, remark: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            remark: remark.into(),
            leader: None,
            forbidden: None,
        }
    }

    /// Code 16 to a pull.
    pub fn forbidden(why: Forbidden, remark: String) -> Self {
        Self {
            forbidden: Some(why),
            ..Self::new(response::NO_PERMISSION, remark)
        }
    }

    /// Code 29.
    pub fn invalid(remark: impl Into<Cow<'static, str>>) -> Self {
        Self::new(response::INVALID_PARAMETER, remark)
    }

    /// Code 2: a limit is reached; nothing was appended.
    pub fn busy(limit: &str) -> Self {
        Self::new(
            response::SYSTEM_BUSY,
            format!(
                "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, limit: {limit}"
            ),
        )
    }

    /// Code 215: old messages are read on a few threads, and too many requests wait for them. Clients repeat a pull in 20 ms.
    pub fn too_many_cold_reads() -> Self {
        Self::new(
            response::FLOW_CONTROL,
            "[COLD_READS_BUSY]too many reads of old messages wait for the disk, ask again",
        )
    }

    /// Code 14: another replica leads. Nothing was appended.
    pub fn not_leader(view: &RoleView) -> Self {
        let known = (view.leader != 0).then(|| KnownLeader {
            address: view.leader_address.clone(),
            term: view.term,
        });
        Self::elsewhere(known)
    }

    /// Code 17.
    pub fn no_topic(name: &str) -> Self {
        Self::new(
            response::TOPIC_NOT_EXIST,
            format!("topic[{name}] not exist, apply first please!"),
        )
    }

    /// Code 26.
    pub fn no_group(name: &str) -> Self {
        Self::new(
            response::SUBSCRIPTION_GROUP_NOT_EXIST,
            format!("subscription group [{name}] does not exist"),
        )
    }

    /// Code 14: this replica serves nobody yet.
    pub fn not_yet() -> Self {
        Self::new(
            response::SERVICE_NOT_AVAILABLE,
            "service not available now: this replica has started and does not serve yet, its group is being founded or \
             its log is being read",
        )
    }

    /// Messages are filtered by tag only.
    pub fn no_filter(kind: &str) -> Self {
        let remark = format!("The broker does not support consumer to filter message by {kind}");
        Self::new(response::SYSTEM_ERROR, remark)
    }

    /// The same under another code.
    #[must_use]
    pub fn with_code(self, code: i32) -> Self {
        Self { code, ..self }
    }

    fn elsewhere(leader: Option<KnownLeader>) -> Self {
        let remark = match &leader {
            None => Cow::Borrowed("this replica does not lead its group, and no leader is known"),
            Some(KnownLeader {
                address: None,
                term,
            }) => format!("this replica does not lead its group; leaderTerm={term}").into(),
            Some(KnownLeader {
                address: Some(address),
                term,
            }) => format!(
                "this replica does not lead its group; leaderAddr={address} leaderTerm={term}"
            )
            .into(),
        };
        Self {
            leader,
            ..Self::new(response::SERVICE_NOT_AVAILABLE, remark)
        }
    }

    /// What the sender of a proposal or a ReadIndex is told if it did not succeed. The codes 2 and 14 stand only
    /// for what is certain: nothing was appended (S1).
    pub fn of(outcome: &Outcome, role: &RoleView) -> Self {
        match outcome {
            Outcome::Rejected(RejectReason::NotLeader { leader, term }) => {
                Self::elsewhere((*leader != 0).then(|| {
                    KnownLeader {
                        address: role
                            .leader_address
                            .clone()
                            .filter(|_| role.leader == *leader),
                        term: *term,
                    }
                }))
            }
            Outcome::Rejected(RejectReason::Busy(bound)) => Self::busy(bound.name()),
            Outcome::Rejected(RejectReason::NoRoom) => Self::new(
                response::SERVICE_NOT_AVAILABLE,
                "service not available now: the disk of this broker has no room for messages, and nothing was stored; make room \
                 there, and it goes on by itself. Reads and offsets go on meanwhile",
            ),
            Outcome::Rejected(RejectReason::TooLarge) => Self::new(
                response::MESSAGE_ILLEGAL,
                "what is to be stored at once is larger than a frame of the log may be, and nothing was stored",
            ),
            Outcome::Rejected(RejectReason::Stopping) => Self::new(
                response::SERVICE_NOT_AVAILABLE,
                "service not available now: this broker is shutting down",
            ),
            Outcome::Rejected(RejectReason::NoTopic) => Self::new(
                response::TOPIC_NOT_EXIST,
                "the topic was deleted, apply first please!",
            ),
            Outcome::Rejected(RejectReason::Outdated) => Self::new(
                response::SERVICE_NOT_AVAILABLE,
                "service not available now: the delayed messages were taken on by another request",
            ),
            Outcome::Rejected(RejectReason::Membership(refusal)) => Self::new(
                response::SERVICE_NOT_AVAILABLE,
                format!("service not available now: {refusal}"),
            ),
            Outcome::NotStored => Self::new(
                response::SYSTEM_ERROR,
                "not stored: leadership changed after the append, another entry stands in its place",
            ),
            Outcome::Unknown => Self::new(
                response::SYSTEM_ERROR,
                "outcome unknown: not enough replicas confirmed in time, it may still be stored",
            ),
            Outcome::OnMasterAlone(_, fault) => Self::on_master_alone(*fault),
            Outcome::Stored(_) | Outcome::Confirmed(_) => Self::new(
                response::SYSTEM_ERROR,
                "an outcome that this request does not have",
            ),
        }
    }

    /// What the sender of a message is told that no slave has confirmed: it is stored, and readable on the master.
    pub fn on_master_alone(fault: SlaveFault) -> Self {
        match fault {
            SlaveFault::NotAvailable => Self::new(
                response::SLAVE_NOT_AVAILABLE,
                "stored on the master alone: no slave is there, or all are far behind",
            ),
            SlaveFault::Late => Self::new(
                response::FLUSH_SLAVE_TIMEOUT,
                "stored on the master alone so far: no slave has confirmed it in time",
            ),
        }
    }

    /// What a request is told that was not appended itself, but waited for something that failed. So an outcome
    /// that is uncertain for what it waited for is certain for the request.
    pub fn of_condition(outcome: &Outcome, role: &RoleView) -> Self {
        match outcome {
            Outcome::NotStored | Outcome::Unknown => Self::new(
                response::SERVICE_NOT_AVAILABLE,
                "service not available now: a topic or group that this request needs could not be created in time; \
                 nothing of the request was stored",
            ),
            other => Self::of(other, role),
        }
    }

    /// Put the refusal into an answer.
    pub fn write(self, answer: &mut Command) {
        answer.code = self.code;
        answer.remark = Some(self.remark.into_owned());
        if let Some(leader) = self.leader {
            let hint = LeaderHint {
                leader_address: leader.address.as_deref(),
                leader_term: Some(leader.term.cast_signed()),
            };
            hint.encode(&mut answer.fields);
        }
        if let Some(forbidden) = self.forbidden {
            answer.fields.set_integer("forbiddenType", forbidden as i64);
        }
    }
}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<NameError> for RequestError {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::follower;
    use tern_replica::Bound;

    #[test]
    fn codes_2_and_14_stand_only_for_what_was_never_appended() {
        let role = follower();
        let code = |outcome: Outcome| RequestError::of(&outcome, &role).code;
        let not_leader = RejectReason::NotLeader { leader: 0, term: 3 };
        assert_eq!(code(Outcome::Rejected(not_leader)), 14);
        assert_eq!(code(Outcome::Rejected(RejectReason::NoRoom)), 14);
        assert_eq!(code(Outcome::Rejected(RejectReason::TooLarge)), 13);
        assert_eq!(code(Outcome::Rejected(RejectReason::Stopping)), 14);
        assert_eq!(code(Outcome::Rejected(RejectReason::Outdated)), 14);
        assert_eq!(code(Outcome::Rejected(RejectReason::NoTopic)), 17);
        assert_eq!(
            code(Outcome::Rejected(RejectReason::Busy(Bound::Behind))),
            2
        );
        assert_eq!(code(Outcome::NotStored), 1);
        assert_eq!(code(Outcome::Unknown), 1);
        assert_eq!(
            RequestError::of_condition(&Outcome::Unknown, &role).code,
            14
        );
    }

    #[test]
    fn a_refusal_names_the_leader_in_fields_and_remark() {
        let view = RoleView {
            role: tern_replication::Role::Follower,
            term: 7,
            leader: 2 << 32 | 1,
            leader_address: Some("127.0.0.1:10921".to_owned()),
            is_slave: false,
            since_ms: 0,
        };
        let mut answer = Command::request(0, 1);
        RequestError::not_leader(&view).write(&mut answer);
        assert_eq!(answer.code, 14);
        assert_eq!(answer.fields.get("leaderAddr"), Some("127.0.0.1:10921"));
        assert_eq!(answer.fields.get("leaderTerm"), Some("7"));
        let remark = answer.remark.unwrap();
        assert!(
            remark.contains("leaderAddr=127.0.0.1:10921") && remark.contains("leaderTerm=7"),
            "{remark}"
        );
    }

    #[test]
    fn an_unknown_leader_is_not_named() {
        let view = RoleView {
            role: tern_replication::Role::Candidate,
            term: 7,
            leader: 0,
            leader_address: None,
            is_slave: false,
            since_ms: 0,
        };
        let mut answer = Command::request(0, 1);
        RequestError::not_leader(&view).write(&mut answer);
        assert!(answer.fields.is_empty());
    }
}
