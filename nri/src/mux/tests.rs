#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn frame(stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&stream.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
}

/// The bytes of both streams, from chunks.
fn decode(chunks: &[&[u8]]) -> Result<[Vec<u8>; 2], FrameTooLong> {
    let (mut decoder, mut streams) = (Decoder::new(), [Vec::new(), Vec::new()]);
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some((channel, bytes)) = decoder.next(&mut rest)? {
            streams[if channel == Channel::Plugin { 0 } else { 1 }].extend_from_slice(bytes);
        }
    }
    Ok(streams)
}

#[test]
fn streams_are_told_apart_and_unknown_ones_are_skipped() {
    let bytes = [frame(1, b"ab"), frame(7, b"nobody's"), frame(2, b"xy"), frame(0, b""), frame(1, b""), frame(1, b"c")].concat();
    assert_eq!(decode(&[&bytes]).unwrap(), [b"abc".to_vec(), b"xy".to_vec()]);
}

#[test]
fn a_frame_of_16_mib_is_taken_and_a_longer_one_is_an_error() {
    let header = |length: u32| [1_u32.to_be_bytes(), length.to_be_bytes()].concat();
    assert!(decode(&[&header(16 << 20)]).is_ok());
    assert!(decode(&[&header(LONGEST_TAKEN)]).is_ok());
    assert_eq!(decode(&[&header(LONGEST_TAKEN + 1)]), Err(FrameTooLong { stream: 1, length: LONGEST_TAKEN + 1 }));
}

#[test]
fn a_long_message_is_cut_into_frames_of_4096_bytes_at_most() {
    for length in [0, 1, 4095, 4096, 4097, 8192, 200_000] {
        let mut out = VecDeque::new();
        encode(Channel::Runtime, &vec![7; length], &mut out);
        let mut bytes = out.make_contiguous();
        let mut lengths = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[..4], [0, 0, 0, 2], "the stream of a frame of a message of {length} bytes");
            let payload = usize::try_from(u32::from_be_bytes(bytes[4..8].try_into().unwrap())).unwrap();
            lengths.push(payload);
            bytes = &mut bytes[8 + payload..];
        }
        assert_eq!(lengths.iter().sum::<usize>(), length);
        assert!(lengths.iter().all(|payload| (1..=4096).contains(payload)), "{length} bytes in {lengths:?}");
    }
}

proptest! {
    #[test]
    fn where_chunks_end_makes_no_difference(
        frames in prop::collection::vec((0_u32..5, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        size in 1_usize..30,
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(stream, payload)| frame(*stream, payload)).collect();
        let of = |wanted: u32| frames.iter().filter(|(stream, _)| *stream == wanted).flat_map(|(_, payload)| payload.clone()).collect();
        let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
        let expected: [Vec<u8>; 2] = [of(1), of(2)];
        prop_assert_eq!(decode(&chunks), Ok(expected));
    }

    #[test]
    fn what_is_encoded_is_decoded(message in prop::collection::vec(any::<u8>(), 0..20_000), size in 1_usize..9000) {
        let mut out = VecDeque::new();
        encode(Channel::Plugin, &message, &mut out);
        let chunks: Vec<&[u8]> = out.make_contiguous().chunks(size).collect();
        prop_assert_eq!(decode(&chunks), Ok([message, Vec::new()]));
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let known = decode(&[&bytes]).map_or(0, |[one, two]| one.len() + two.len());
        prop_assert!(known <= bytes.len());
    }
}
