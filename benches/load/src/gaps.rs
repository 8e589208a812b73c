//! Sending through kills of the master: the longest time in which nothing was acknowledged.
//!
//! Each line on standard input answers with the longest gap since the line before; the end of the input ends the run.
//! A connection that breaks or is refused goes where the refusal points, else to the next broker of the list.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tern_wire::codes::response;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::connection::LoadConnection;
use crate::frames::SendFrames;
use crate::numbers::PER_CONNECTION;
use crate::plan::{LoadTarget, Plan};
use crate::{readback, steps};

/// Between two tries: short beside the gap, long beside a try.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
/// A broker that takes a send and then never answers is left.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);

/// What all senders know together.
struct Seen {
    acknowledged: Vec<u64>,
    since_line: u64,
    last: Instant,
    longest: Duration,
    leader: String,
    stopped: bool,
}

impl Seen {
    fn acknowledge(&mut self, number: u64) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
        self.since_line += 1;
        self.acknowledged.push(number);
    }

    /// Another sender may have found the leader in the meantime: then that one stays.
    fn leave(&mut self, refused: &str, next: String) {
        if self.leader == refused {
            self.leader = next;
        }
    }
}

/// Sends until standard input ends, and reads back; whether everything acknowledged is there.
///
/// # Errors
/// The topic cannot be read.
pub async fn run(plan: &Plan) -> io::Result<bool> {
    let seen = Rc::new(RefCell::new(Seen {
        acknowledged: Vec::new(),
        since_line: 0,
        last: Instant::now(),
        longest: Duration::ZERO,
        leader: plan.leader().address.clone(),
        stopped: false,
    }));
    steps::say("{\"event\": \"ready\"}");
    let senders = LocalSet::new();
    for at in 0..plan.connections {
        senders.spawn_local(sender(plan.clone(), at as u64, Rc::clone(&seen)));
    }
    let listening = senders.run_until(listen(Rc::clone(&seen)));
    listening.await;
    senders.await;
    let (acknowledged, leader) = {
        let seen = seen.borrow();
        (seen.acknowledged.clone(), seen.leader.clone())
    };
    let master = LoadTarget {
        group: plan.leader().group.clone(),
        address: leader,
    };
    readback::check(&plan.only(&master), &acknowledged).await
}

async fn listen(seen: Rc<RefCell<Seen>>) {
    let mut lines = steps::lines();
    while lines.recv().await.is_some() {
        let mut seen = seen.borrow_mut();
        let longest = seen.longest.max(seen.last.elapsed());
        steps::say(&format!(
            "{{\"event\": \"gap\", \"longest_ms\": {:.1}, \"count\": {}}}",
            longest.as_secs_f64() * 1000.0,
            seen.since_line
        ));
        seen.longest = Duration::ZERO;
        seen.since_line = 0;
    }
    seen.borrow_mut().stopped = true;
}

async fn sender(plan: Plan, at: u64, seen: Rc<RefCell<Seen>>) {
    let mut frames = SendFrames::new(&plan, &plan.leader().group, at as u32);
    let (mut number, mut next) = (at * PER_CONNECTION, at as usize);
    let mut open: Option<LoadConnection> = None;
    while !seen.borrow().stopped {
        let leader = seen.borrow().leader.clone();
        number += 1;
        match attempt(&mut open, &leader, &mut frames, number, plan.queues).await {
            Ok(None) => seen.borrow_mut().acknowledge(number),
            outcome => {
                open = None;
                let hint = outcome.ok().flatten().filter(|hint| *hint != leader);
                next += 1;
                let other = plan.brokers[next % plan.brokers.len()].address.clone();
                seen.borrow_mut().leave(&leader, hint.unwrap_or(other));
                sleep(BETWEEN_TRIES).await;
            }
        }
    }
}

/// One send: nothing if it was acknowledged, else where the leader is said to be, which may be here.
async fn attempt(
    open: &mut Option<LoadConnection>,
    leader: &str,
    frames: &mut SendFrames,
    number: u64,
    queues: u32,
) -> io::Result<Option<String>> {
    let mut connection = match open.take() {
        Some(connection) => connection,
        None => LoadConnection::open(leader).await?,
    };
    let queue = (number % u64::from(queues)) as u32;
    frames.add(
        number,
        queue,
        (number & 0x7fff_ffff) as i32,
        &mut connection.out,
    );
    connection.flush().await?;
    let answer = timeout(ANSWER_WITHIN, connection.answer())
        .await
        .map_err(io::Error::other)??;
    *open = Some(connection);
    if answer.code == response::SUCCESS {
        return Ok(None);
    }
    Ok(Some(
        answer.fields.get("leaderAddr").unwrap_or(leader).into(),
    ))
}
