//! Messages by their position, what a consumer may subscribe to, and the lite consumer's pull.

use serde_json::json;
use tern_wire::codes::request as codes;
use tern_wire::message_id;

use crate::support::{SoloBroker, bodies, message, pull, pull_header, request};

#[test]
fn a_message_is_found_by_the_id_in_the_answer_to_its_send() {
    let broker = SoloBroker::start();
    for number in 0..3 {
        let sent = broker
            .client
            .call(message("orders", 0, "", &format!("m{number}")));
        let id = sent.fields.get("msgId").expect("an id");
        let (_, offset) = message_id::parse(id).expect("an offset id");
        let view = |offset: u64| {
            let offset = offset.to_string();
            let fields = [("offset", &*offset), ("topic", "orders")];
            broker
                .client
                .call(request(codes::VIEW_MESSAGE_BY_ID, &fields))
        };
        let found = view(offset);
        assert_eq!(
            (found.code, bodies(&found)),
            (0, vec![format!("m{number}")])
        );
        let missed = view(offset + 1);
        let remark = format!("can not find message by the offset, {}", offset + 1);
        assert_eq!((missed.code, missed.remark), (1, Some(remark)));
    }
    let missing = broker.client.call(request(codes::VIEW_MESSAGE_BY_ID, &[]));
    assert_eq!(missing.code, 29);
}

#[test]
fn a_subscription_is_checked_at_the_start_of_its_consumer() {
    let broker = SoloBroker::start();
    for (kind, code) in [("TAG", 0), ("SQL92", 1)] {
        let body = json!({"clientId": "c", "group": "CG", "subscriptionData":
            {"topic": "orders", "subString": "a > 1", "expressionType": kind}});
        let body = body.to_string().into_bytes();
        let answer = broker
            .client
            .call(request(codes::CHECK_CLIENT_CONFIG, &[]).with_body(body));
        assert_eq!(answer.code, code, "{kind}");
    }
}

#[test]
fn a_lite_pull_is_a_pull() {
    let broker = SoloBroker::start();
    broker.client.call(message("orders", 0, "", "m"));
    let mut lite = pull(&pull_header("CG", "orders", 0, 0));
    lite.code = codes::LITE_PULL_MESSAGE;
    let answer = broker.client.call(lite);
    assert_eq!((answer.code, bodies(&answer)), (0, vec!["m".to_owned()]));
}
