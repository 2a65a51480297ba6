#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::*;
use loona_hpack::{Decoder, Encoder};
use proptest::prelude::*;

type Headers = Vec<(String, String)>;

/// A frame as it is on the wire.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Head { length: payload.len(), kind, flags, stream }.write(&mut out);
    out.extend_from_slice(payload);
    out
}

fn rewrite(bytes: &[u8]) -> (Vec<u8>, Result<(), Broken>) {
    let mut out = Vec::new();
    let result = Rewriter::default().push(bytes, &mut out);
    (out, result)
}

/// What comes out for these frames, without the preface.
fn rewritten(frames: &[Vec<u8>]) -> Vec<u8> {
    let (out, result) = rewrite(&[PREFACE, &frames.concat()].concat());
    assert_eq!(result, Ok(()));
    out.strip_prefix(PREFACE).unwrap().to_vec()
}

fn refusal(frames: &[Vec<u8>]) -> Broken {
    rewrite(&[PREFACE, &frames.concat()].concat()).1.unwrap_err()
}

/// Frames as h2 would see them.
fn frames(mut bytes: &[u8]) -> Vec<(Head, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let head = Head::read(bytes[..HEAD].try_into().unwrap());
        all.push((head, bytes[HEAD..HEAD + head.length].to_vec()));
        bytes = &bytes[HEAD + head.length..];
    }
    all
}

/// The headers of each block, by a decoder that has seen none of the blocks before.
fn headers(bytes: &[u8]) -> Vec<Headers> {
    let mut blocks = vec![];
    let mut block = vec![];
    for (head, payload) in frames(bytes).into_iter().filter(|(head, _)| [kind::HEADERS, kind::CONTINUATION].contains(&head.kind)) {
        assert!(head.length <= MAX_FRAME && !head.has(flag::PADDED), "{head:?}");
        let fields = if head.has(flag::PRIORITY) { PRIORITY_FIELDS } else { 0 };
        block.extend_from_slice(&payload[fields..]);
        if head.has(flag::END_HEADERS) {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            let decoded = Decoder::new().decode(&std::mem::take(&mut block)).unwrap();
            blocks.push(decoded.into_iter().map(|(name, value)| (text(name), text(value))).collect());
        }
    }
    blocks
}

const REQUEST: [(&str, &str); 4] =
    [(":method", "POST"), (":path", "/a.B/C"), (":authority", "/run/x.sock"), ("content-type", "application/grpc")];

fn block(encoder: &mut Encoder<'_>, headers: &[(&str, &str)]) -> Vec<u8> {
    encoder.encode(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn with_authority(authority: &str) -> Headers {
    let each = REQUEST.iter().map(|(name, value)| (*name, if *name == ":authority" { authority } else { value }));
    each.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn an_authority_that_is_none_becomes_localhost_and_others_stay() {
    for (sent, expected) in [
        ("", "localhost"),
        ("/run/x.sock", "localhost"),
        ("%2Frun%2Fx.sock", "localhost"),
        ("a b", "localhost"),
        ("x:y:z", "localhost"),
        ("localhost", "localhost"),
        ("node-1:8080", "node-1:8080"),
        ("[::1]:80", "[::1]:80"),
    ] {
        let block = block(&mut Encoder::new(), &[(":authority", sent), ("x", "/%")]);
        let found = headers(&rewritten(&[frame(kind::HEADERS, flag::END_HEADERS, 1, &block)]));
        let expected = vec![vec![(":authority".to_owned(), expected.to_owned()), ("x".to_owned(), "/%".to_owned())]];
        assert_eq!(found, expected, "sent {sent:?}");
    }
}

#[test]
fn a_path_that_entered_the_table_is_replaced_again_when_a_later_request_names_it() {
    // POST, then the authority as a literal that enters the table; the second request names its entry.
    let first = [&b"\x83\x41\x0b"[..], b"/run/x.sock"].concat();
    let second = b"\x83\xbe";
    let out = rewritten(&[frame(kind::HEADERS, flag::END_HEADERS, 1, &first), frame(kind::HEADERS, flag::END_HEADERS, 3, second)]);
    let expected = [(":method", "POST"), (":authority", "localhost")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    assert_eq!(headers(&out), [expected.clone(), expected]);
}

#[test]
fn the_manner_of_grpc_go_is_understood() {
    // From RFC 7541, appendix C.4: Huffman coding, an authority that enters the table, and its use by the next request.
    let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
    let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
    let out = rewritten(&[frame(kind::HEADERS, flag::END_HEADERS, 1, first), frame(kind::HEADERS, flag::END_HEADERS, 3, second)]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let common = [pair(":method", "GET"), pair(":scheme", "http"), pair(":path", "/"), pair(":authority", "www.example.com")].to_vec();
    let more = [common.clone(), vec![pair("cache-control", "no-cache")]].concat();
    assert_eq!(headers(&out), [common, more]);
}

#[test]
fn a_size_update_empties_the_table_and_one_above_the_default_ends_the_connection() {
    let mut encoder = Encoder::new();
    let first = frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&mut encoder, &[("x", "y")]));
    let second = block(&mut encoder, &[("x", "y")]);
    // To 0 and back to 4096 (RFC 7541, section 6.3).
    let emptied = [&[0x20, 0x3f, 0xe1, 0x1f], &second[..]].concat();
    let found = refusal(&[first.clone(), frame(kind::HEADERS, flag::END_HEADERS, 3, &emptied)]);
    assert_eq!(found, Broken::Block(BadBlock::Coding(loona_hpack::decoder::DecoderError::HeaderIndexOutOfBounds)));
    let allowed = [&[0x3f, 0xe1, 0x1f], &second[..]].concat();
    assert_eq!(headers(&rewritten(&[first.clone(), frame(kind::HEADERS, flag::END_HEADERS, 3, &allowed)])).len(), 2);
    let above = [&[0x3f, 0xe2, 0x1f], &second[..]].concat();
    let found = refusal(&[first, frame(kind::HEADERS, flag::END_HEADERS, 3, &above)]);
    assert_eq!(found, Broken::Block(BadBlock::Coding(loona_hpack::decoder::DecoderError::InvalidMaxDynamicSize)));
}

#[test]
fn padding_goes_and_priority_and_the_end_of_the_stream_stay() {
    let priority = [0x80, 0, 0, 7, 255];
    let payload = [&[3], &priority[..], &block(&mut Encoder::new(), &REQUEST), &[0; 3]].concat();
    let flags = flag::END_HEADERS | flag::END_STREAM | flag::PADDED | flag::PRIORITY;
    let out = rewritten(&[frame(kind::HEADERS, flags, 5, &payload)]);
    let (head, payload) = &frames(&out)[0];
    assert_eq!((head.flags, head.stream), (flag::END_HEADERS | flag::END_STREAM | flag::PRIORITY, 5));
    assert_eq!(payload[..PRIORITY_FIELDS], priority);
    assert_eq!(headers(&out), [with_authority("localhost")]);
}

#[test]
fn a_block_in_many_frames_is_joined_and_trailers_follow_their_data() {
    let block = block(&mut Encoder::new(), &REQUEST);
    let (one, two) = block.split_at(7);
    let trailers = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &[0, 1, b'a', 1, b'b']);
    let data = frame(0, 0, 1, b"data");
    let out = rewritten(&[
        frame(kind::HEADERS, 0, 1, one),
        frame(kind::CONTINUATION, 0, 1, b""),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, two),
        data.clone(),
        trailers.clone(),
    ]);
    assert_eq!(headers(&out), [with_authority("localhost"), vec![("a".to_owned(), "b".to_owned())]]);
    assert!(out.ends_with(&[data, trailers].concat()), "data and trailers are not as sent: {out:?}");
}

#[test]
fn a_block_that_grows_is_written_in_frames_of_the_allowed_size() {
    // Huffman coding and the table can make far less out of this: forty names of one long entry.
    let long = "v".repeat(900);
    let mut encoder = Encoder::new();
    let sent: Vec<(&str, &str)> = std::iter::repeat_n(("x", long.as_str()), 60).collect();
    let priority = [0, 0, 0, 0, 1];
    let payload = [&priority[..], &block(&mut encoder, &sent)].concat();
    let out = rewritten(&[frame(kind::HEADERS, flag::END_HEADERS | flag::PRIORITY, 1, &payload)]);
    let found = frames(&out);
    assert!(found.len() > 2 && payload.len() < 2000, "{} frames out of {} bytes", found.len(), payload.len());
    assert_eq!(headers(&out)[0].len(), 60);
    assert!(found.iter().rev().skip(1).all(|(head, _)| !head.has(flag::END_HEADERS)), "only the last frame ends the headers");
}

#[test]
fn what_is_no_header_passes_unchanged() {
    let sent = [
        frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(0, 1, 1, b"data"),
        frame(8, 0, 0, &[0, 0, 1, 0]),
        frame(6, 0, 0, &[7; 8]),
        frame(2, 0, 1, &priority()),
        frame(200, 255, 9, b"unknown"),
        frame(4, 1, 0, b""),
        frame(0, 0, 1, &vec![1; 100_000]),
    ];
    assert_eq!(rewritten(&sent), sent.concat());
}

fn priority() -> [u8; PRIORITY_FIELDS] {
    [0, 0, 0, 0, 16]
}

#[test]
fn what_may_not_be_ends_the_connection() {
    let open = || frame(kind::HEADERS, 0, 1, &[0x82]);
    let ends = flag::END_HEADERS;
    let cases = [
        ("data inside a block", vec![open(), frame(0, 0, 1, b"")], Broken::OutOfPlace(0)),
        ("a block inside a block", vec![open(), open()], Broken::OutOfPlace(1)),
        ("continuation of another stream", vec![open(), frame(kind::CONTINUATION, ends, 3, b"")], Broken::OutOfPlace(9)),
        ("continuation of nothing", vec![frame(kind::CONTINUATION, ends, 1, b"")], Broken::OutOfPlace(9)),
        ("a promise", vec![frame(kind::PUSH_PROMISE, ends, 1, &[0, 0, 0, 2])], Broken::OutOfPlace(5)),
        ("no padding length", vec![frame(kind::HEADERS, ends | flag::PADDED, 1, b"")], Broken::Short),
        ("padding only", vec![frame(kind::HEADERS, ends | flag::PADDED, 1, &[3, 0, 0])], Broken::Short),
        ("priority cut off", vec![frame(kind::HEADERS, ends | flag::PRIORITY, 1, &[0; 4])], Broken::Short),
        ("large frame", vec![frame(kind::HEADERS, ends, 1, &[0; MAX_FRAME + 1])], Broken::FrameTooLarge(MAX_FRAME + 1)),
    ];
    for (what, sent, expected) in cases {
        assert_eq!(refusal(&sent), expected, "{what}");
    }
    assert_eq!(rewrite(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").1, Err(Broken::Preface));
    let truncated = refusal(&[frame(kind::HEADERS, ends, 1, &[0x00, 0x05, b'a'])]);
    assert!(matches!(truncated, Broken::Block(BadBlock::Coding(_))), "{truncated:?}");
}

#[test]
fn a_block_without_end_is_cut_off() {
    let full = || frame(kind::CONTINUATION, 0, 1, &[0x82; MAX_FRAME]);
    let sent = [vec![frame(kind::HEADERS, 0, 1, b"")], (0..4).map(|_| full()).collect()].concat();
    assert_eq!(refusal(&sent), Broken::BlockTooLarge);
    let empty = std::iter::repeat_n(frame(kind::CONTINUATION, 0, 1, b""), BLOCK_CAP / HEAD);
    let sent: Vec<_> = std::iter::once(frame(kind::HEADERS, 0, 1, b"")).chain(empty).collect();
    assert_eq!(refusal(&sent), Broken::BlockTooLarge, "empty frames");
}

#[test]
fn a_small_block_that_means_a_large_one_is_cut_off() {
    let mut encoder = Encoder::new();
    let long = "v".repeat(3000);
    let first = frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&mut encoder, &[("x", &long)]));
    let bomb = frame(kind::HEADERS, flag::END_HEADERS, 3, &[0xbe; 200]);
    assert_eq!(refusal(&[first, bomb]), Broken::Block(BadBlock::TooLarge));
}

#[test]
fn a_block_of_very_many_fields_is_cut_off_before_it_is_decoded() {
    // Two strings of one Huffman-coded letter each.
    let field = [0x00, 0x81, 0x1f, 0x81, 0x1f];
    let sent = |fields| vec![frame(kind::HEADERS, flag::END_HEADERS, 1, &field.repeat(fields))];
    assert_eq!(refusal(&sent(257)), Broken::Block(BadBlock::TooMany(257)));
    assert_eq!(headers(&rewritten(&sent(256)))[0].len(), 256);
    // One of each kind: in the table, entering it, named there, never entering it, and a change of its size, whose number is two bytes long.
    let kinds = b"\x3f\x00\x82\x40\x01a\x01b\x44\x01c\x10\x01d\x01e\x82\xbe".repeat(40);
    assert_eq!(refusal(&[frame(kind::HEADERS, flag::END_HEADERS, 1, &kinds)]), Broken::Block(BadBlock::TooMany(280)));
}

/// A conversation of any frames, most of them legal.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let some_bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let legal = prop::collection::vec((any::<u8>(), prop::sample::select(vec!["localhost", "/run/x", ""]), 0_u8..3), 1..6);
    let other =
        (any::<u8>(), any::<u8>(), 0_u32..4, some_bytes()).prop_map(|(kind, flags, stream, bytes)| frame(kind, flags, stream, &bytes));
    (legal, prop::collection::vec(other, 0..4)).prop_map(|(legal, others)| {
        let mut encoder = Encoder::new();
        let mut bytes = PREFACE.to_vec();
        for (data, authority, cut) in legal {
            let block = block(&mut encoder, &[(":method", "POST"), (":authority", authority), ("x", "y")]);
            let (one, two) = block.split_at(usize::from(cut).min(block.len()));
            bytes.extend(frame(kind::HEADERS, 0, 1, one));
            bytes.extend(frame(kind::CONTINUATION, flag::END_HEADERS, 1, two));
            bytes.extend(frame(0, 0, 1, &[data; 30]));
        }
        others.into_iter().for_each(|other| bytes.extend(other));
        bytes
    })
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_into_pieces_changes_nothing(bytes in conversation(), cuts in prop::collection::vec(1_usize..50, 1..20)) {
        let whole = rewrite(&bytes);
        let mut rewriter = Rewriter::default();
        let (mut out, mut result, mut rest) = (Vec::new(), Ok(()), &bytes[..]);
        for cut in cuts.iter().cycle() {
            let (now, later) = at_most(rest, *cut);
            result = rewriter.push(now, &mut out);
            rest = later;
            if result.is_err() || rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!((out, result), whole);
    }

    #[test]
    fn any_bytes_are_rewritten_or_refused_and_what_comes_out_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..2000), legal: bool) {
        let (out, _) = rewrite(&if legal { [PREFACE, &bytes].concat() } else { bytes.clone() });
        prop_assert!(out.len() <= PREFACE.len() + 2 * (BLOCK_CAP + bytes.len()));
    }

    #[test]
    fn any_block_is_rewritten_or_refused(block in prop::collection::vec(any::<u8>(), 0..300)) {
        let (out, result) = rewrite(&[PREFACE, &frame(kind::HEADERS, flag::END_HEADERS, 1, &block)].concat());
        if result.is_ok() {
            let again = rewrite(&out);
            prop_assert_eq!(again.0, out, "what was rewritten is not as its own rewriting");
        }
    }
}
