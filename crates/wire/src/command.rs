//! A request or an answer, as it travels in one frame.

use bytes::Bytes;

use crate::{Fields, Language, version};

/// Bit of `flag`: this is an answer.
const RESPONSE: i32 = 1;
/// Bit of `flag`: nobody waits for an answer.
const ONEWAY: i32 = 2;

/// Form of the header on the wire. An answer has the form of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderEncoding {
    /// A JSON object; the only form that the C++ client knows.
    Json,
    /// The compact form, called ROCKETMQ in Java's configuration.
    Binary,
}

/// One request or answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Request code ([`crate::codes::request`]) or response code ([`crate::codes::response`]).
    pub code: i32,
    /// Language of the sender's SDK.
    pub language: Language,
    /// Version ordinal of the sender ([`crate::version`]); no value of it is an error.
    pub version: i32,
    /// Chosen by the requester, copied into the answer. The two directions of a connection count apart.
    pub opaque: i32,
    /// Bit 0: answer. Bit 1: one-way request.
    pub flag: i32,
    /// Text for people; on errors the message.
    pub remark: Option<String>,
    /// The header fields of the code (`extFields`).
    pub fields: Fields,
    /// What follows the header.
    pub body: Bytes,
    /// Form of the header, as received or as it is to be sent.
    pub encoding: HeaderEncoding,
}

impl Command {
    /// A request of ours without fields and body, with a JSON header.
    pub fn request(code: i32, opaque: i32) -> Self {
        Self {
            code,
            // RUST and NODE_JS are late additions that older readers do not know; OTHER is as old as the list.
            language: Language::OTHER,
            version: version::OWN,
            opaque,
            flag: 0,
            remark: None,
            fields: Fields::new(),
            body: Bytes::new(),
            encoding: HeaderEncoding::Json,
        }
    }

    /// An answer to `request` without fields and body, in the form of its header.
    pub fn answer_to(request: &Self, code: i32) -> Self {
        Self::answer(code, request.opaque, request.encoding)
    }

    /// An answer to a request of which only these two values were kept.
    pub fn answer(code: i32, opaque: i32, encoding: HeaderEncoding) -> Self {
        Self {
            flag: RESPONSE,
            encoding,
            ..Self::request(code, opaque)
        }
    }

    /// The same with a remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same as a one-way request.
    #[must_use]
    pub fn one_way(mut self) -> Self {
        self.flag |= ONEWAY;
        self
    }

    /// Is this an answer? To be asked before anything else, because `code` means two things.
    pub fn is_response(&self) -> bool {
        self.flag & RESPONSE != 0
    }

    /// Is this a request that must not be answered, not even with an error?
    pub fn is_oneway(&self) -> bool {
        self.flag & ONEWAY != 0
    }

    /// What a header says that leaves everything out: the defaults of Java's decoder.
    pub(crate) fn blank(encoding: HeaderEncoding) -> Self {
        Self {
            language: Language::JAVA,
            version: 0,
            encoding,
            ..Self::request(0, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_copies_opaque_and_header_form_and_carries_our_version() {
        let mut request = Command::request(310, -5);
        request.encoding = HeaderEncoding::Binary;
        request.version = 317;
        let answer = Command::answer_to(&request, 17).with_remark("no");
        assert_eq!((answer.code, answer.opaque, answer.version), (17, -5, 513));
        assert_eq!(answer.encoding, HeaderEncoding::Binary);
        assert!(answer.is_response() && !answer.is_oneway());
        assert!(!request.is_response());
    }

    #[test]
    fn a_one_way_request_is_no_answer() {
        let push = Command::request(40, 1).one_way();
        assert!(push.is_oneway() && !push.is_response());
        assert_eq!(push.flag, 2);
    }
}
