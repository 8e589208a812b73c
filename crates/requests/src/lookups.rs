//! What is looked up without a consumer's progress: one message by its position (33), and what a consumer may ask
//! for (46).

use serde::Deserialize;
use tern_wire::Command;
use tern_wire::codes::response;
use tern_wire::headers::ViewMessage;

use super::effects::Effects;
use super::handler::{ClientRequest, NotServed, Reads, RequestHandler, Response, Verdict, View};
use super::reading::stored_record_at;
use crate::registry::heartbeat::SubscriptionData;
use crate::request_error::RequestError;
use crate::views::Views;

/// The body of a 46.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedClient {
    subscription_data: Option<SubscriptionData>,
}

/// 33: the message at this position of the log. Every replica answers for what is committed here.
pub struct ViewMessageHandler;

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
        view.reach(position)?;
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
pub struct CheckClientHandler;

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
