//! What heartbeats promise while nobody drains the bridge.

#[path = "../../net/tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use support::{ECHO, eventually, runtime, serve};
use tern_bridge::{Bridge, BridgeEvent, HeartbeatSchedule};
use tern_net::{Client, ClientOptions, ServerOptions};

fn schedule(version: u64, addresses: Vec<Arc<str>>, interval_ms: u64) -> HeartbeatSchedule {
    HeartbeatSchedule {
        version,
        code: ECHO,
        body: "beat".into(),
        addresses,
        interval: Duration::from_millis(interval_ms),
        retry: Duration::from_millis(5),
        timeout: Duration::from_secs(5),
    }
}

#[test]
fn they_go_on_by_themselves_and_start_again_when_a_server_comes_back() {
    let server = serve(ServerOptions::default());
    let runtime = runtime();
    let bridge = Bridge::<Infallible>::new(10, 1000).expect("a descriptor");
    let client = Client::new(
        runtime.handle(),
        Arc::clone(&bridge) as _,
        ClientOptions::default(),
    );
    let heartbeats = bridge.start_heartbeats(client.clone(), runtime.handle());
    let address: Arc<str> = server.address().into();
    let dead: Arc<str> = "127.0.0.1:1".into();
    heartbeats.set(schedule(
        1,
        vec![Arc::clone(&address), Arc::clone(&dead)],
        5,
    ));
    eventually("ten beats", || server.control.seen() >= 10);
    eventually("failures to be counted", || {
        heartbeats
            .failures()
            .iter()
            .any(|(failing, count)| **failing == *dead && *count >= 3)
    });
    // An hour to the next one: only the loss of the connection can bring it.
    heartbeats.set(schedule(2, vec![Arc::clone(&address)], 3_600_000));
    let told = |version| {
        bridge.drain().iter().any(|event| {
            matches!(event, BridgeEvent::Heartbeat(told) if told.version == version && told.answered)
        })
    };
    eventually("the new version to be told", || told(2));
    assert!(heartbeats.failures().is_empty());
    let before = server.control.seen();
    client.disconnect(&address);
    eventually("a beat on a new connection", || {
        server.control.seen() == before + 1
    });
    heartbeats.set(schedule(3, Vec::new(), 5));
    let ended = server.control.seen();
    heartbeats.set(schedule(4, vec![Arc::clone(&address)], 3_600_000));
    eventually("a beat again", || server.control.seen() == ended + 1);
    // Long before its time, because it says something new.
    heartbeats.set(schedule(5, vec![address], 3_600_000));
    eventually("the news", || server.control.seen() == ended + 2);
}
