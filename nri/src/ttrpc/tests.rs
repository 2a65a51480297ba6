#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use prost::Message as _;

fn message(call: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], &call.to_be_bytes(), &[kind, 0], body].concat()
}

fn assemble(chunks: &[&[u8]]) -> Result<Vec<Message>, MessageTooLong> {
    let (mut assembler, mut messages) = (Assembler::new(), Vec::new());
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(message) = assembler.next(&mut rest)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

#[test]
fn a_message_without_a_body_is_whole_with_its_header() {
    let messages = assemble(&[&message(1, 2, b"")]).unwrap();
    assert_eq!(messages, [Message { call: 1, kind: Kind::Response, body: Bytes::new() }]);
    let response = Response::decode(messages[0].body.clone()).unwrap();
    assert_eq!(response.failure(), None, "an empty response is a success");
}

#[test]
fn a_status_is_a_failure_only_with_a_code() {
    assert_eq!(Response::error(0, String::new()).failure(), None);
    let failure = Response::error(UNIMPLEMENTED, "method X".to_owned()).failure().unwrap();
    assert_eq!((failure.code, failure.message.as_str()), (12, "method X"));
}

#[test]
fn metadata_of_a_caller_is_skipped() {
    // Field 5: a message of a key and a value.
    let bytes = [&[0x0a, 1, b'S', 0x12, 1, b'M', 0x1a, 1, b'P', 0x20, 5][..], &[0x2a, 6, 0x0a, 1, b'k', 0x12, 1, b'v']].concat();
    let request = Request::decode(bytes.as_slice()).unwrap();
    let expected = Request { service: "S".into(), method: "M".into(), payload: Bytes::from_static(b"P"), timeout_nano: 5 };
    assert_eq!(request, expected);
}

#[test]
fn room_is_made_for_what_has_come_and_not_for_what_was_announced() {
    let mut assembler = Assembler::new();
    let header = [&LONGEST_TAKEN.to_be_bytes()[..], &1_u32.to_be_bytes(), &[1, 0]].concat();
    assert_eq!(assembler.next(&mut header.as_slice()), Ok(None));
    assert_eq!(assembler.room(), 0, "after a header that announces {LONGEST_TAKEN} bytes");
    assert_eq!(assembler.next(&mut [7; 10].as_slice()), Ok(None));
    assert!(assembler.room() <= STEP, "{} bytes of room for 10", assembler.room());
    let too_long = (LONGEST_TAKEN + 1).to_be_bytes();
    let header = [&too_long[..], &1_u32.to_be_bytes(), &[1, 0]].concat();
    assert_eq!(assemble(&[&header]), Err(MessageTooLong { length: LONGEST_TAKEN + 1 }));
}

#[test]
fn a_message_of_5_mb_in_two_frames_is_one() {
    let body = vec![3; 5_006_244];
    let bytes = message(1, 1, &body);
    let (first, rest) = bytes.split_at(4096);
    let mut assembler = Assembler::new();
    assert_eq!(assembler.next(&mut &first[..]), Ok(None));
    let whole = assembler.next(&mut &rest[..]).unwrap().unwrap();
    assert_eq!(whole.body.len(), body.len());
}

proptest! {
    #[test]
    fn where_chunks_end_makes_no_difference(
        parts in prop::collection::vec((any::<u32>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 0..8),
        size in 1_usize..40,
    ) {
        let bytes: Vec<u8> = parts.iter().flat_map(|(call, kind, body)| message(*call, *kind, body)).collect();
        let expected: Vec<Message> = parts
            .into_iter()
            .map(|(call, kind, body)| Message { call, kind: Kind::of(kind), body: body.into() })
            .collect();
        let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
        prop_assert_eq!(assemble(&chunks), Ok(expected));
    }

    #[test]
    fn any_bytes_take_no_more_room_than_twice_themselves_and_a_step(bytes in prop::collection::vec(any::<u8>(), 0..400), small: bool) {
        let mut bytes = bytes;
        if small && bytes.len() > 2 {
            // So that lengths are such that whole messages come about.
            bytes[0] = 0;
            bytes[1] = 0;
        }
        let (mut assembler, mut rest) = (Assembler::new(), bytes.as_slice());
        while let Ok(Some(message)) = assembler.next(&mut rest) {
            prop_assert!(message.body.len() <= bytes.len());
        }
        prop_assert!(assembler.room() <= 2 * bytes.len() + STEP);
    }

    #[test]
    fn what_is_encoded_is_assembled(call: u32, method in "[a-zA-Z]{0,20}", payload in prop::collection::vec(any::<u8>(), 0..5000)) {
        let request = Request { service: "s".to_owned(), method, payload: payload.into(), timeout_nano: 1_999_000_000 };
        let bytes = encode(call, Kind::Request, &request);
        let messages = assemble(&[&bytes]).unwrap();
        prop_assert_eq!((messages.len(), messages[0].call, messages[0].kind), (1, call, Kind::Request));
        prop_assert_eq!(Request::decode(messages[0].body.clone()).unwrap(), request);
    }
}
