//! What peers send never reaches the protobuf parser that the `raft` crate is built with (docs/adr/0001).

use bytes::Bytes;
use raft::eraftpb::{ConfState, MessageType, Snapshot};
use tern_log::{Descriptor, FrameKind};

use super::{KINDS, to_engine};
use crate::entry::ThinEntry;
use crate::peer::{MessageKind, PeerMessage};

/// Start-group tags, each one level deeper: what overflows the stack of the parser that 2.28 has.
fn nested_groups() -> Bytes {
    Bytes::from(vec![0x0b; 1 << 16])
}

fn hostile(message: MessageKind) -> PeerMessage {
    let kinds = [FrameKind::Batch, FrameKind::NoOp, FrameKind::Membership];
    let descriptor = Descriptor {
        position: 0x0b0b_0b0b_0b0b_0b0b,
        total_length: 0x0b0b_0b0b,
        message_count: 0x0b0b_0b0b,
        metadata_length: 0x0b0b_0b0b,
        kind: FrameKind::Batch,
        flags: 0x0b,
        payload_crc: 0x0b0b_0b0b,
        header_crc: 0x0b0b_0b0b,
        store_timestamp_ms: 0x0b0b_0b0b_0b0b_0b0b,
    };
    PeerMessage {
        context: nested_groups(),
        entries: kinds
            .into_iter()
            .map(|kind| ThinEntry {
                index: 1,
                term: 1,
                kind,
                descriptor: Some(descriptor),
            })
            .collect(),
        ..PeerMessage::raft(message, 2, 1)
    }
}

/// The engine parses bytes at one place: the entries of a proposal that change the membership. No proposal can come from a
/// peer, whatever it sends; nor can the contents of a snapshot.
#[test]
fn no_message_of_a_peer_is_parsed_by_the_engine() {
    for (kind, _) in KINDS {
        let message = to_engine(&hostile(kind));
        assert_ne!(
            message.get_msg_type(),
            MessageType::MsgPropose,
            "{kind:?} would be a proposal"
        );
        assert_eq!(message.get_entries().len(), 3);
        for entry in message.get_entries() {
            assert_eq!(entry.data.len(), tern_log::DESCRIPTOR_SIZE);
            assert!(entry.context.is_empty());
        }
        assert_eq!(message.get_snapshot(), &Snapshot::default(), "{kind:?}");
    }
    assert_eq!(
        Snapshot::default().get_metadata().get_conf_state(),
        &ConfState::default()
    );
}
