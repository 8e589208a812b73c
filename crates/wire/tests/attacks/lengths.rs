//! W1: lengths that lie, and what is no frame at all.

use bytes::BytesMut;
use tern_wire::{Command, FrameError, FrameLimits, decode_frame, encode_frame, frame_length};

use crate::frame;

#[test]
fn a_length_bomb_is_refused_whatever_its_sign() {
    for length in [
        0x7fff_ffff_u32,
        0x8000_0000,
        0xffff_ffff,
        16 * 1024 * 1024 - 3,
    ] {
        let refused = frame_length(length.to_be_bytes(), &FrameLimits::default());
        let announced = u64::from(length) + 4;
        assert_eq!(
            refused,
            Err(FrameError::TooLong {
                announced,
                limit: 16 * 1024 * 1024
            })
        );
    }
}

#[test]
fn another_protocol_is_named_where_its_first_bytes_read_as_a_huge_length() {
    for (first_four, said) in [
        (*b"HTTP", "it begins with \"HTTP\", so the peer speaks HTTP"),
        (*b"POST", "it begins with \"POST\", so the peer speaks HTTP"),
        (
            *b"PRI ",
            "it begins with \"PRI \", so the peer speaks HTTP/2, as gRPC uses it",
        ),
        (*b"SSH-", "it begins with \"SSH-\", so the peer speaks SSH"),
        (
            [0x16, 3, 1, 2],
            "it begins with \"\\x16\\x03\\x01\\x02\", so the peer speaks TLS",
        ),
        (
            *b"EHLO",
            "it begins with \"EHLO\", so the peer speaks another protocol",
        ),
    ] {
        let refused = frame_length(first_four, &FrameLimits::default()).expect_err("no length");
        assert_eq!(
            refused.to_string(),
            format!("no frame of this protocol: {said}")
        );
    }
}

#[test]
fn the_limit_counts_the_length_field() {
    let longest = 16 * 1024 * 1024 - 4_u32;
    assert_eq!(
        frame_length(longest.to_be_bytes(), &FrameLimits::default()),
        Ok(longest as usize)
    );
}

#[test]
fn a_frame_without_room_for_its_header_word_is_refused() {
    for length in 0..4_u32 {
        let refused = FrameError::TooShort {
            announced: u64::from(length),
        };
        assert_eq!(
            frame_length(length.to_be_bytes(), &FrameLimits::default()),
            Err(refused.clone())
        );
        assert_eq!(
            decode_frame(vec![0; length as usize].into(), &FrameLimits::default()),
            Err(refused)
        );
    }
}

#[test]
fn a_header_longer_than_its_frame_is_refused() {
    let refused = decode_frame(frame(0, 11, b"{\"code\":1}"), &FrameLimits::default());
    assert_eq!(
        refused,
        Err(FrameError::HeaderBeyondFrame {
            announced: 11,
            room: 10
        })
    );
}

#[test]
fn a_header_beyond_its_limit_is_refused_even_if_it_is_there() {
    let limits = FrameLimits {
        max_header_bytes: 64,
        ..FrameLimits::default()
    };
    let header = [b"{\"code\":1}".to_vec(), vec![b' '; 55]].concat();
    let refused = decode_frame(frame(0, 65, &header), &limits);
    assert_eq!(
        refused,
        Err(FrameError::HeaderTooLong {
            announced: 65,
            limit: 64
        })
    );
    assert!(decode_frame(frame(0, 64, &header), &limits).is_ok());
}

#[test]
fn a_header_of_an_unknown_form_is_refused() {
    for form in 2..=255 {
        let refused = decode_frame(frame(form, 10, b"{\"code\":1}"), &FrameLimits::default());
        assert_eq!(refused, Err(FrameError::UnknownForm(form)));
    }
}

#[test]
fn what_others_speak_is_not_a_frame() {
    for hello in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-OpenSSH",
        b"*1\r\n$4\r\nPING",
    ] {
        assert!(frame_length(hello[..4].try_into().unwrap(), &FrameLimits::default()).is_err());
    }
}

#[test]
fn an_answer_that_no_peer_would_take_is_not_written() {
    let mut out = BytesMut::from(&b"before"[..]);
    let huge = Command::request(1, 1).with_body(vec![0; 16 * 1024 * 1024]);
    assert!(matches!(
        encode_frame(&huge, &mut out),
        Err(FrameError::TooLong { .. })
    ));
    assert_eq!(out, &b"before"[..]);
}
