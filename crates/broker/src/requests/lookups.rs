//! What is looked up without a consumer's progress: one message by its place (33), and what a consumer may ask
//! for (46).

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use tern_wire::codes::response;
use tern_wire::headers::ViewMessage;
use tokio::runtime::Handle;

use super::pull::no_filter;
use super::reading::stored_record_at;
use super::reply::{Incoming, Reply};
use super::second_look::{Halt, Judge, SecondLook, Sight};
use crate::answers::Answers;
use crate::heartbeat::SubscriptionData;
use crate::refused::Refused;
use crate::roles::RoleBoard;
use crate::services::Services;
use crate::views::Views;

/// Looks into the committed log.
pub(crate) struct Lookups {
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    second_look: SecondLook,
    runtime: Handle,
}

/// The way back to who asks, and the place in the log.
type Asked = (Reply, i64);

/// The body of a 46.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckedClient {
    subscription_data: Option<SubscriptionData>,
}

impl Lookups {
    pub fn new(services: &Services) -> Self {
        Self {
            views: Arc::clone(&services.views),
            roles: Arc::clone(&services.roles),
            second_look: SecondLook::new(services),
            runtime: services.runtime.clone(),
        }
    }

    /// 33: the message at this place of the log. Every replica answers for what is committed here.
    pub fn view(self: &Arc<Self>, incoming: Incoming) {
        match ViewMessage::decode(&incoming.command.fields) {
            Ok(header) => self.look((incoming.reply, header.offset), Sight::Published),
            Err(error) => incoming.reply.refuse_now(error.into()),
        }
    }

    /// A message whose send was answered just now may not be applied yet, so a leader looks again before it says
    /// that there is none.
    fn look(self: &Arc<Self>, (reply, offset): Asked, sight: Sight) {
        match self.find(offset) {
            Ok(record) => {
                let answer = reply.command(response::SUCCESS).with_body(record);
                reply.send(answer);
            }
            Err(halt) if self.roles.view().leads() => Answers::at_once(|answers| {
                let asked = (reply, offset);
                self.second_look.halted(self, asked, (halt, sight), answers);
            }),
            Err(halt) => reply.refuse_now(halt.refused()),
        }
    }

    fn find(&self, offset: i64) -> Result<Bytes, Halt> {
        let refused = |remark| Refused::new(response::SYSTEM_ERROR, remark);
        let none = refused(format!("can not find message by the offset, {offset}"));
        let Ok(place) = u64::try_from(offset) else {
            return Err(none.into());
        };
        match stored_record_at(&self.views, place) {
            Ok(Some(record)) => Ok(record),
            Ok(None) if self.may_come(place) => Err(Halt::Doubt(none)),
            Ok(None) => Err(none.into()),
            Err(error) => Err(refused(format!("the message cannot be read: {error}")).into()),
        }
    }

    /// Whether the place is in the log and behind what is applied.
    fn may_come(&self, place: u64) -> bool {
        place >= self.views.applied_position() && place < self.views.log.end().position
    }

    /// 46: may a consumer subscribe like this? Asked at its start.
    pub fn check_client(incoming: Incoming) {
        match check_client(&incoming.command.body) {
            Ok(()) => {
                let answer = incoming.reply.command(response::SUCCESS);
                incoming.reply.send(answer);
            }
            Err(refused) => incoming.reply.refuse_now(refused),
        }
    }
}

impl Judge for Lookups {
    type Request = Asked;

    /// Off the apply thread: from here on files may be read.
    fn judge_again(self: Arc<Self>, asked: Asked, _: &mut Answers) {
        let runtime = self.runtime.clone();
        runtime.spawn(async move { self.look(asked, Sight::Fresh) });
    }

    fn refuse((reply, _): Asked, refused: Refused, answers: &mut Answers) {
        reply.refuse(refused, answers);
    }
}

/// Messages are filtered by tag only.
fn check_client(body: &[u8]) -> Result<(), Refused> {
    let checked: CheckedClient = serde_json::from_slice(body).map_err(|error| {
        let remark = format!("the body names no subscription: {error}");
        Refused::new(response::SYSTEM_ERROR, remark)
    })?;
    match checked.subscription_data {
        Some(subscription)
            if !subscription.expression_type.is_empty()
                && !subscription.expression_type.eq_ignore_ascii_case("TAG") =>
        {
            Err(no_filter(&subscription.expression_type))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Outcome;
    use crate::testing::{Bench, Client, leading, role_board};
    use tern_wire::Command;
    use tern_wire::codes::request;
    use tern_wire::record::iter;

    const TOPIC: &str = "BenchmarkTest";

    async fn view(lookups: &Arc<Lookups>, client: &mut Client, offset: &str) -> Command {
        let mut command = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
        command.fields.set("offset", offset);
        lookups.view(client.asks(command));
        client.answer().await
    }

    #[tokio::test]
    async fn a_message_is_found_at_its_place_and_nowhere_else() {
        let mut bench = Bench::new();
        for number in 0..3 {
            bench.commit_message(TOPIC, 3, "", format!("m{number}").as_bytes());
        }
        let topic_id = bench.views.state().topic(TOPIC).expect("it exists").id;
        let mut entries = Vec::new();
        bench
            .views
            .queues
            .read(topic_id, 3, 0, 9, &mut entries)
            .expect("entries");
        let mut client = Client::connect().await;
        let lookups = Arc::new(Lookups::new(&bench.services(role_board())));
        for (number, entry) in entries.iter().enumerate() {
            let offset = entry.physical_offset;
            let answer = view(&lookups, &mut client, &offset.to_string()).await;
            assert_eq!((answer.code, answer.remark.as_deref()), (0, None));
            let found: Vec<_> = iter(&answer.body)
                .map(|record| record.expect("a record").body().to_vec())
                .collect();
            assert_eq!(found, [format!("m{number}").into_bytes()]);
            let inside = (offset + 4).to_string();
            let answer = view(&lookups, &mut client, &inside).await;
            let remark = format!("can not find message by the offset, {inside}");
            assert_eq!((answer.code, answer.remark.as_deref()), (1, Some(&*remark)));
        }
        for offset in [
            "-1".to_owned(),
            "0".to_owned(),
            bench.views.applied_position().to_string(),
            i64::MAX.to_string(),
        ] {
            assert_eq!(
                view(&lookups, &mut client, &offset).await.code,
                1,
                "{offset}"
            );
        }
        assert_eq!(view(&lookups, &mut client, "x").await.code, 29);
    }

    #[tokio::test]
    async fn a_damaged_message_is_answered_with_an_error_that_names_it() {
        for roles in [leading(), role_board()] {
            let mut bench = Bench::cold();
            for _ in 0..3 {
                bench.commit_message(TOPIC, 3, "", b"m");
            }
            let rotted = bench.rot(TOPIC, 3, 1).physical_offset;
            let mut client = Client::connect().await;
            let lookups = Arc::new(Lookups::new(&bench.services(roles)));
            let answer = view(&lookups, &mut client, &rotted.to_string()).await;
            assert_eq!((answer.code, answer.body.len()), (1, 0));
            let remark = answer.remark.expect("a remark");
            assert!(remark.contains("damage at position"), "{remark}");
            assert_eq!(bench.views.damage.count(), 1);
            let whole = bench.entry(TOPIC, 3, 0).physical_offset;
            assert_eq!(
                view(&lookups, &mut client, &whole.to_string()).await.code,
                0
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_committed_yet_is_not_shown() {
        let mut bench = Bench::new();
        let end = bench.views.applied_position();
        let state = (**bench.views.state()).clone();
        bench.commit_message(TOPIC, 3, "", b"later");
        let topic_id = state.topic(TOPIC).expect("it exists").id;
        let mut entries = Vec::new();
        bench
            .views
            .queues
            .read(topic_id, 3, 0, 1, &mut entries)
            .expect("an entry");
        bench.views.publish(&state, end, 0);
        let mut client = Client::connect().await;
        let lookups = Arc::new(Lookups::new(&bench.services(role_board())));
        let offset = entries[0].physical_offset.to_string();
        assert_eq!(view(&lookups, &mut client, &offset).await.code, 1);

        let lookups = Arc::new(Lookups::new(&bench.services(leading())));
        let mut command = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
        command.fields.set("offset", &offset);
        lookups.view(client.asks(command));
        let read = bench.read().expect("the leader asks for a fresh read");
        bench.commit_message(TOPIC, 3, "", b"and on");
        let mut answers = Answers::default();
        read(Outcome::Confirmed(1), &mut answers);
        answers.flush();
        assert_eq!(client.answer().await.code, 0);
    }

    #[test]
    fn a_subscription_by_tag_is_fine_and_one_by_sql_is_not() {
        let code = |body: &str| check_client(body.as_bytes()).map_err(|refused| refused.code);
        let body = |kind: &str| {
            format!(
                r#"{{"clientId":"c","group":"g","subscriptionData":{{"topic":"t","subString":"a > 1",
                "expressionType":"{kind}","codeSet":[],"tagsSet":[],"subVersion":1}}}}"#
            )
        };
        assert_eq!(code(&body("TAG")), Ok(()));
        assert_eq!(code(&body("")), Ok(()));
        assert_eq!(code(&body("SQL92")), Err(1));
        assert_eq!(code("{}"), Ok(()));
        assert_eq!(code("nothing"), Err(1));
        let refused = check_client(body("SQL92").as_bytes()).expect_err("refused");
        assert_eq!(
            refused.remark,
            "The broker does not support consumer to filter message by SQL92"
        );
    }
}
