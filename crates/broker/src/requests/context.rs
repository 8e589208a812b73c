//! A request on its way to its answer.

use std::sync::Arc;

use bytes::BytesMut;
use tern_net::{Connection, Credit};
use tern_requests::{ClientRequest, RequestError, Response, WaitsFor};
use tern_wire::codes::response;
use tern_wire::{Command, HeaderEncoding, encode_frame};

use crate::clock;
use crate::response_batch::ResponseBatch;

/// A request, and the way back to its sender.
pub(crate) struct RequestContext {
    pub command: Command,
    pub responder: Responder,
    /// Monotonic time of its arrival, nanoseconds.
    pub received_ns: u64,
    pub waits_for: WaitsFor,
}

impl RequestContext {
    pub fn new(
        connection: &Arc<Connection>,
        command: Command,
        credit: Credit,
        waits_for: WaitsFor,
    ) -> Self {
        let responder = Responder {
            connection: Arc::clone(connection),
            opaque: command.opaque,
            encoding: command.encoding,
            one_way: command.is_oneway(),
            credit,
        };
        Self {
            command,
            responder,
            received_ns: clock::monotonic_ns(),
            waits_for,
        }
    }

    /// The request as its handler sees it.
    pub fn request(&self) -> ClientRequest<'_> {
        ClientRequest {
            command: &self.command,
            peer: self.responder.connection.peer(),
            connection: self.responder.connection.id(),
        }
    }
}

/// The way back. Holds the request's credit until it is answered; does nothing for one-way requests.
pub(crate) struct Responder {
    connection: Arc<Connection>,
    opaque: i32,
    encoding: HeaderEncoding,
    one_way: bool,
    credit: Credit,
}

impl Responder {
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

    /// The answer in the form that the request came in.
    pub fn answer(&self, response: Response) -> Command {
        Command {
            remark: response.remark.map(Into::into),
            fields: response.fields,
            body: response.body,
            ..self.command(response.code)
        }
    }

    /// Answer now.
    pub fn send(self, answer: Command) {
        if self.one_way || self.connection.send_command(answer) || !self.connection.is_open() {
            return;
        }
        self.connection.send_command(self.too_long());
    }

    fn too_long(&self) -> Command {
        self.command(response::SYSTEM_ERROR)
            .with_remark("the answer is longer than a frame")
    }

    /// Answer together with others.
    pub fn add(self, answer: &Command, batch: &mut ResponseBatch) {
        if self.one_way {
            return;
        }
        let mut frame = BytesMut::new();
        if encode_frame(answer, &mut frame).is_err() {
            encode_frame(&self.too_long(), &mut frame).expect("a short answer fits into a frame");
        }
        batch.push(&self.connection, frame.freeze());
    }

    /// Refuse now.
    pub fn refuse(self, error: RequestError) {
        let mut answer = self.command(error.code);
        error.write(&mut answer);
        self.send(answer);
    }

    /// Give the credit back before the answer: the request is parked where another bound holds.
    pub fn park(&mut self) {
        self.credit = Credit::free();
    }
}
