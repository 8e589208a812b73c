//! A request on its way to its answer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tern_net::{Connection, Credit};
use tern_wire::codes::response;
use tern_wire::{Command, Fields, HeaderEncoding, encode_frame};

use crate::answers::Answers;
use crate::clock;
use crate::refused::Refused;

/// A request, and the way back to its sender.
pub(crate) struct Incoming {
    pub command: Command,
    pub reply: Reply,
    /// Monotonic time of its arrival, nanoseconds.
    pub received_ns: u64,
}

impl Incoming {
    pub fn new(connection: &Arc<Connection>, command: Command, credit: Credit) -> Self {
        let reply = Reply {
            connection: Arc::clone(connection),
            opaque: command.opaque,
            encoding: command.encoding,
            one_way: command.is_oneway(),
            credit,
        };
        Self {
            command,
            reply,
            received_ns: clock::monotonic_ns(),
        }
    }
}

/// The way back. Holds the request's credit until it is answered; does nothing for one-way requests.
pub(crate) struct Reply {
    connection: Arc<Connection>,
    opaque: i32,
    encoding: HeaderEncoding,
    one_way: bool,
    credit: Credit,
}

impl Reply {
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether somebody waits for the answer.
    pub fn is_awaited(&self) -> bool {
        !self.one_way && self.connection.is_open()
    }

    pub fn is_one_way(&self) -> bool {
        self.one_way
    }

    /// An answer without fields and body.
    pub fn command(&self, code: i32) -> Command {
        Command::answer(code, self.opaque, self.encoding)
    }

    /// An answer with these fields.
    pub fn with_fields(&self, code: i32, fields: Fields) -> Command {
        Command {
            fields,
            ..self.command(code)
        }
    }

    /// Answer now.
    pub fn send(self, answer: Command) {
        if !self.one_way {
            self.connection.send_command(answer);
        }
    }

    /// Answer now, with a frame that was encoded for this reply.
    pub fn send_frame(self, frame: Bytes) {
        if !self.one_way {
            self.connection.send(frame);
        }
    }

    /// Answer together with others.
    pub fn add(self, answer: &Command, answers: &mut Answers) {
        if self.one_way {
            return;
        }
        let mut frame = BytesMut::new();
        if encode_frame(answer, &mut frame).is_err() {
            let too_long = self
                .command(response::SYSTEM_ERROR)
                .with_remark("the answer is longer than a frame");
            encode_frame(&too_long, &mut frame).expect("a short answer fits into a frame");
        }
        answers.push(&self.connection, frame.freeze());
    }

    /// Refuse together with others.
    pub fn refuse(self, refused: Refused, answers: &mut Answers) {
        let mut answer = self.command(refused.code);
        refused.write(&mut answer);
        self.add(&answer, answers);
    }

    /// Refuse now.
    pub fn refuse_now(self, refused: Refused) {
        let mut answer = self.command(refused.code);
        refused.write(&mut answer);
        self.send(answer);
    }

    /// Give the credit back before the answer: the request is parked where another bound holds.
    pub fn park(&mut self) {
        self.credit = Credit::free();
    }
}
