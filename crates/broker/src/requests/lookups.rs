//! What is looked up without a consumer's progress: one message by its position (33), and what a consumer may ask
//! for (46).

use serde::Deserialize;
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::ViewMessage;

use super::effects::Effects;
use super::handler::{ClientRequest, NotServed, Reads, RequestHandler, Response, Verdict, View};
use super::reading::stored_record_at;
use crate::request_error::RequestError;
use crate::services::registry::heartbeat::SubscriptionData;
use crate::views::Views;

/// The body of a 46.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckedClient {
    subscription_data: Option<SubscriptionData>,
}

/// 33: the message at this position of the log. Every replica answers for what is committed here.
pub(crate) struct ViewMessageHandler;

impl RequestHandler for ViewMessageHandler {
    type Header<'a> = ViewMessage<'a>;
    type Pending = ();

    const READS: Reads = Reads::Files;

    fn decode(command: &Command) -> Result<ViewMessage<'_>, RequestError> {
        Ok(ViewMessage::decode(&command.fields)?)
    }

    /// A message whose send was answered just now may not be applied yet, so a leader looks again before it says
    /// that there is none.
    fn judge(
        header: &ViewMessage<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let offset = header.offset;
        let failed = |remark| RequestError::new(response::SYSTEM_ERROR, remark);
        let none = failed(format!("can not find message by the offset, {offset}"));
        let Ok(position) = u64::try_from(offset) else {
            return Err(none.into());
        };
        match stored_record_at(view.views, position) {
            Ok(Some(record)) => {
                let answer = Response::new(response::SUCCESS).with_body(record);
                Ok(Verdict::Answer(answer))
            }
            Ok(None) if may_come(view.views, position) => Err(NotServed::StaleView(none)),
            Ok(None) => Err(none.into()),
            Err(error) => Err(failed(format!("the message cannot be read: {error}")).into()),
        }
    }
}

/// Whether the position is in the log and behind what is applied.
fn may_come(views: &Views, position: u64) -> bool {
    position >= views.applied_position() && position < views.log.end().position
}

/// 46: may a consumer subscribe like this? Asked at its start. Messages are filtered by tag only.
pub(crate) struct CheckClientHandler;

impl RequestHandler for CheckClientHandler {
    type Header<'a> = CheckedClient;
    type Pending = ();

    fn decode(command: &Command) -> Result<CheckedClient, RequestError> {
        decode_check(&command.body)
    }

    fn judge(
        body: &CheckedClient,
        _: &ClientRequest<'_>,
        _: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        check_client(body)?;
        Ok(Verdict::Answer(Response::new(response::SUCCESS)))
    }
}

fn decode_check(body: &[u8]) -> Result<CheckedClient, RequestError> {
    serde_json::from_slice(body).map_err(|error| {
        let remark = format!("the body names no subscription: {error}");
        RequestError::new(response::SYSTEM_ERROR, remark)
    })
}

fn check_client(body: &CheckedClient) -> Result<(), RequestError> {
    match &body.subscription_data {
        Some(subscription)
            if !subscription.expression_type.is_empty()
                && !subscription.expression_type.eq_ignore_ascii_case("TAG") =>
        {
            Err(RequestError::no_filter(&subscription.expression_type))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tern_wire::record::iter;

    use crate::requests::Driver;
    use crate::response_batch::ResponseBatch;
    use crate::testing::{ReplicaBench, TestClient, leading, role_board};
    use tern_replica::Outcome;
    use tern_wire::codes::request;

    const TOPIC: &str = "BenchmarkTest";

    async fn view(driver: &Arc<Driver>, client: &mut TestClient, offset: &str) -> Command {
        let mut command = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
        command.fields.set("offset", offset);
        client.asks(driver, command);
        client.answer().await
    }

    #[tokio::test]
    async fn a_message_is_found_at_its_place_and_nowhere_else() {
        let mut bench = ReplicaBench::new();
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
        let mut client = TestClient::connect().await;
        let driver = bench.driver(role_board());
        for (number, entry) in entries.iter().enumerate() {
            let offset = entry.physical_offset;
            let answer = view(&driver, &mut client, &offset.to_string()).await;
            assert_eq!((answer.code, answer.remark.as_deref()), (0, None));
            let found: Vec<_> = iter(&answer.body)
                .map(|record| record.expect("a record").body().to_vec())
                .collect();
            assert_eq!(found, [format!("m{number}").into_bytes()]);
            let inside = (offset + 4).to_string();
            let answer = view(&driver, &mut client, &inside).await;
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
                view(&driver, &mut client, &offset).await.code,
                1,
                "{offset}"
            );
        }
        assert_eq!(view(&driver, &mut client, "x").await.code, 29);
    }

    #[tokio::test]
    async fn a_damaged_message_is_answered_with_an_error_that_names_it() {
        for roles in [leading(), role_board()] {
            let mut bench = ReplicaBench::cold();
            for _ in 0..3 {
                bench.commit_message(TOPIC, 3, "", b"m");
            }
            let rotted = bench.rot(TOPIC, 3, 1).physical_offset;
            let mut client = TestClient::connect().await;
            let driver = bench.driver(roles);
            let answer = view(&driver, &mut client, &rotted.to_string()).await;
            assert_eq!((answer.code, answer.body.len()), (1, 0));
            let remark = answer.remark.expect("a remark");
            assert!(remark.contains("damage at position"), "{remark}");
            assert_eq!(bench.views.damage.count(), 1);
            let whole = bench.entry(TOPIC, 3, 0).physical_offset;
            assert_eq!(view(&driver, &mut client, &whole.to_string()).await.code, 0);
        }
    }

    #[tokio::test]
    async fn what_is_not_committed_yet_is_not_shown() {
        let mut bench = ReplicaBench::new();
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
        let mut client = TestClient::connect().await;
        let driver = bench.driver(role_board());
        let offset = entries[0].physical_offset.to_string();
        assert_eq!(view(&driver, &mut client, &offset).await.code, 1);

        let driver = bench.driver(leading());
        let mut command = Command::request(request::VIEW_MESSAGE_BY_ID, 1);
        command.fields.set("offset", &offset);
        client.asks(&driver, command);
        let read = bench.read().expect("the leader asks for ReadIndex");
        bench.commit_message(TOPIC, 3, "", b"and on");
        let mut batch = ResponseBatch::default();
        read(Outcome::Confirmed(1), &mut batch);
        batch.flush();
        assert_eq!(client.answer().await.code, 0);
    }

    #[test]
    fn a_subscription_by_tag_is_fine_and_one_by_sql_is_not() {
        let check = |body: &str| check_client(&decode_check(body.as_bytes())?);
        let code = |body: &str| check(body).map_err(|error| error.code);
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
        let error = check(&body("SQL92")).expect_err("refused");
        assert_eq!(
            error.remark,
            "The broker does not support consumer to filter message by SQL92"
        );
    }
}
