//! What shows that a peer's process is gone, as opposed to slow, stopped, or cut off.
//!
//! All three have to hold: its kernel ended the *control* stream that it had dialled, and the *bulk* stream, and a dial
//! to it is refused. One alone proves nothing: a stream breaks by itself, and a port may be closed by a firewall. Nor
//! does silence prove anything: that is what the election timeout is for.

use tern_replication::PeerStream;

/// What is known of one peer.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    streams: u64,
    control: StreamState,
    bulk: StreamState,
    refused: bool,
    told: bool,
}

/// The newest connection of a stream that the peer has dialled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum StreamState {
    /// There was none yet, or it was this side that closed it.
    #[default]
    Unknown,
    /// It is open, and has this number.
    Open(u64),
    /// The peer's kernel ended it, and everything that came on it was handed over.
    Ended,
}

impl Evidence {
    /// The peer connected: it lives. The stream's number.
    pub fn accepted(&mut self, peer_stream: PeerStream) -> u64 {
        self.streams += 1;
        *self.stream(peer_stream) = StreamState::Open(self.streams);
        self.answered();
        self.streams
    }

    /// The peer's kernel ended a stream; a stream that was replaced since does not count. Whether the peer is gone now.
    #[must_use]
    pub fn ended(&mut self, peer_stream: PeerStream, number: u64) -> bool {
        self.change(peer_stream, number, StreamState::Ended);
        self.gone()
    }

    /// This side closed a stream: it says nothing of the peer.
    pub fn closed(&mut self, peer_stream: PeerStream, number: u64) {
        self.change(peer_stream, number, StreamState::Unknown);
    }

    /// A dial was refused. Whether the peer is gone now. A refusal from before its streams ended does not count: a
    /// firewall refuses for as long as it is there.
    #[must_use]
    pub fn refused(&mut self) -> bool {
        self.refused |= self.control == StreamState::Ended || self.bulk == StreamState::Ended;
        self.gone()
    }

    /// A dial was answered: the peer lives.
    pub fn answered(&mut self) {
        self.refused = false;
        self.told = false;
    }

    fn gone(&mut self) -> bool {
        let ended = self.control == StreamState::Ended && self.bulk == StreamState::Ended;
        let gone = ended && self.refused && !self.told;
        self.told |= gone;
        gone
    }

    fn change(&mut self, peer_stream: PeerStream, number: u64, now: StreamState) {
        let stream = self.stream(peer_stream);
        if *stream == StreamState::Open(number) {
            *stream = now;
        }
    }

    fn stream(&mut self, peer_stream: PeerStream) -> &mut StreamState {
        match peer_stream {
            PeerStream::Control => &mut self.control,
            PeerStream::Bulk => &mut self.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both streams of a peer that lives.
    fn connected() -> (Evidence, u64, u64) {
        let mut evidence = Evidence::default();
        let (control, bulk) = (
            evidence.accepted(PeerStream::Control),
            evidence.accepted(PeerStream::Bulk),
        );
        (evidence, control, bulk)
    }

    #[test]
    fn all_three_in_any_order_tell_it_once() {
        for order in ["cbr", "crb", "bcr", "brc"] {
            let (mut evidence, control, bulk) = connected();
            let told: Vec<bool> = order
                .chars()
                .map(|piece| match piece {
                    'c' => evidence.ended(PeerStream::Control, control),
                    'b' => evidence.ended(PeerStream::Bulk, bulk),
                    _ => evidence.refused(),
                })
                .collect();
            assert_eq!(told, [false, false, true], "{order}");
            assert!(!evidence.refused(), "told already");
        }
    }

    #[test]
    fn a_dial_that_was_refused_while_both_streams_were_open_does_not_count() {
        let (mut evidence, control, bulk) = connected();
        assert!(!evidence.refused());
        assert!(!evidence.ended(PeerStream::Control, control));
        assert!(!evidence.ended(PeerStream::Bulk, bulk));
        assert!(evidence.refused());
    }

    #[test]
    fn a_late_end_of_a_stream_that_was_replaced_does_not_count() {
        let (mut evidence, control, bulk) = connected();
        let newer = evidence.accepted(PeerStream::Control);
        assert!(!evidence.ended(PeerStream::Control, control));
        assert!(!evidence.ended(PeerStream::Bulk, bulk));
        assert!(!evidence.refused());
        assert!(evidence.ended(PeerStream::Control, newer));
    }

    #[test]
    fn a_stream_that_this_side_closed_does_not_count() {
        let (mut evidence, control, bulk) = connected();
        evidence.closed(PeerStream::Control, control);
        assert!(
            !evidence.ended(PeerStream::Control, control),
            "closed before"
        );
        assert!(!evidence.ended(PeerStream::Bulk, bulk));
        assert!(!evidence.refused());
    }

    #[test]
    fn a_peer_that_never_connected_or_whose_port_answers_is_not_gone() {
        let mut evidence = Evidence::default();
        assert!(!evidence.refused());
        let (mut evidence, control, bulk) = connected();
        assert!(!evidence.ended(PeerStream::Control, control));
        assert!(!evidence.refused());
        evidence.answered();
        assert!(!evidence.ended(PeerStream::Bulk, bulk));
    }

    #[test]
    fn a_peer_that_came_back_can_be_gone_again() {
        let (mut evidence, control, bulk) = connected();
        assert!(!evidence.ended(PeerStream::Control, control));
        assert!(!evidence.ended(PeerStream::Bulk, bulk));
        assert!(evidence.refused());
        let (control, bulk) = (
            evidence.accepted(PeerStream::Control),
            evidence.accepted(PeerStream::Bulk),
        );
        assert!(!evidence.ended(PeerStream::Control, control));
        assert!(!evidence.refused());
        assert!(evidence.ended(PeerStream::Bulk, bulk));
    }
}
