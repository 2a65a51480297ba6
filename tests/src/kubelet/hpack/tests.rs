//! The blocks against a decoder that others wrote.

use super::*;
use loona_hpack::Decoder;
use proptest::collection::vec;
use proptest::prelude::*;

fn decoded(decoder: &mut Decoder<'_>, block: &[u8]) -> Vec<(String, String)> {
    let fields = decoder.decode(block).unwrap_or_else(|e| panic!("{block:02x?}: {e:?}"));
    fields.into_iter().map(|(name, value)| (String::from_utf8(name).unwrap(), String::from_utf8(value).unwrap())).collect()
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_printable_character_but_the_backslash_has_a_huffman_code_that_others_read() {
    for character in (0x20..0x7f).map(char::from).filter(|c| *c != '\\') {
        // Letters of five bits around it, so that the code is the shorter way.
        let text = format!("aaaaaaaaaa{character}aaaaaaaaaa");
        let coded = huffman::encode(&text).unwrap();
        assert!(coded.len() < text.len(), "{text:?} is no shorter in code");
        let block = Encoder::new(HeaderStyle::Go).encode(&[("x", &text)]);
        assert_eq!(decoded(&mut Decoder::new(), &block), owned(&[("x", &text)]));
    }
    assert_eq!(huffman::encode("\\"), None, "its code has 19 bits");
}

#[test]
fn a_field_seen_before_is_one_byte_and_the_table_forgets_the_oldest() {
    let (mut encoder, mut decoder) = (Encoder::new(HeaderStyle::Go), Decoder::new());
    let fixed = [(":method", "POST"), (":authority", "/a/b.sock"), ("te", "trailers")];
    let first = encoder.encode(&fixed);
    assert_eq!(decoded(&mut decoder, &first), owned(&fixed));
    assert_eq!(encoder.encode(&fixed), [0x83, 0x80 | 63, 0x80 | 62], "the second block is three numbers");
    for round in 0..300 {
        let timeout = format!("{}u", 9_999_999 - round);
        let fields = [("grpc-timeout", timeout.as_str()), (":authority", "/a/b.sock")];
        let block = encoder.encode(&fields);
        assert_eq!(decoded(&mut decoder, &block), owned(&fields), "round {round}: {block:02x?}");
    }
    assert!(encoder.table.len() < 100, "{} entries in a table of {TABLE_SIZE} bytes", encoder.table.len());
}

#[test]
fn a_peer_that_allows_no_table_gets_none() {
    let (mut encoder, mut decoder) = (Encoder::new(HeaderStyle::Go), Decoder::new());
    encoder.allow(0);
    for _ in 0..2 {
        let block = encoder.encode(&[("te", "trailers")]);
        assert_eq!(decoded(&mut decoder, &block), owned(&[("te", "trailers")]), "{block:02x?}");
    }
}

#[test]
fn literal_style_is_never_remembered() {
    let mut encoder = Encoder::new(HeaderStyle::Literal);
    let long = "/".repeat(300);
    let fields = [(":authority", long.as_str())];
    let (first, second) = (encoder.encode(&fields), encoder.encode(&fields));
    assert_eq!(first, second);
    assert_eq!(decoded(&mut Decoder::new(), &first), owned(&fields));
}

/// A text; once in a while one that is too large for the table. What cannot be coded is read the fastest.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![19 => "[ -~]{0,3}", 1 => Just("\\".repeat(5000))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_blocks_of_one_connection_are_read_as_they_were_meant(
        // Few names and short values, so that many come again.
        blocks in vec(vec(("[a-c]{1,2}|:path|content-type", value()), 0..8), 1..20),
        limit in prop_oneof![Just(0usize), Just(100), Just(4096)],
        change in 0..20usize,
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(HeaderStyle::Go), Decoder::new());
        for (at, fields) in blocks.iter().enumerate() {
            if at == change {
                encoder.allow(limit);
            }
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            // A change of size needs a field behind it.
            let fields = [&fields[..], &[("te", "trailers")]].concat();
            let block = encoder.encode(&fields);
            prop_assert_eq!(decoded(&mut decoder, &block), owned(&fields), "block {} of {:?}", at, blocks);
        }
    }
}
