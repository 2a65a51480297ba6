//! One header block: decoded, corrected, written again so that no later block depends on it.

use loona_hpack::Decoder;
use loona_hpack::decoder::DecoderError;
use tonic::codegen::http::uri::Authority;

/// The most that the names and values of one block may come to, each with 32 bytes on top as RFC 9113 counts them (section 6.5.2). A block
/// of single bytes can name a long entry of the table again and again.
const LIST_CAP: usize = 64 * 1024;
/// The most fields of one block. Calls have about ten; and to decode a single Huffman-coded string costs as much as a small call, however short it is.
const FIELDS: usize = 256;
/// The size of the table that senders may fill: the default of RFC 9113, since our server announces no other.
const TABLE: usize = 4096;
/// What stands in for an authority that is none.
const STAND_IN: &[u8] = b"localhost";

/// Why a block cannot be passed on.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum BadBlock {
    /// Not HPACK, or not in step with the blocks before.
    #[error("header block: {0}")]
    Coding(#[from] DecoderError),
    /// See [`FIELDS`].
    #[error("{0} headers, at most {FIELDS}")]
    TooMany(usize),
    /// See [`LIST_CAP`].
    #[error("the headers come to more than {LIST_CAP} bytes")]
    TooLarge,
}

/// The headers of one connection, block after block; the decoder remembers what earlier blocks entered into the table.
pub(super) struct HeaderBlocks {
    decoder: Decoder<'static>,
}

impl Default for HeaderBlocks {
    fn default() -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE);
        Self { decoder }
    }
}

impl HeaderBlocks {
    /// The block as literals that enter no table.
    ///
    /// # Errors
    /// When it cannot be decoded or is too large. The connection is over then, since the table is in no known state.
    pub(super) fn rewrite(&mut self, block: &[u8]) -> Result<Vec<u8>, BadBlock> {
        let fields = count(block);
        if fields > FIELDS {
            return Err(BadBlock::TooMany(fields));
        }
        let mut out = Vec::with_capacity(block.len());
        let mut size = 0_usize;
        self.decoder.decode_with_cb(block, |name, value| {
            size += name.len() + value.len() + 32;
            if size <= LIST_CAP {
                let value = if *name == *b":authority" { authority(&value) } else { &value };
                // A literal without indexing whose name is no index (RFC 7541, section 6.2.2).
                out.push(0);
                string(&mut out, &name);
                string(&mut out, value);
            }
        })?;
        if size > LIST_CAP { Err(BadBlock::TooLarge) } else { Ok(out) }
    }
}

/// How many fields a block has, up to where it makes no sense, which is for the decoder to say.
fn count(block: &[u8]) -> usize {
    std::iter::successors(skip_field(block), |rest| skip_field(rest)).count()
}

/// What follows the first field (RFC 7541, section 6).
fn skip_field(block: &[u8]) -> Option<&[u8]> {
    let (prefix, is_literal) = match block.first()? {
        0x80.. => (0x7f, false),
        0x40.. => (0x3f, true),
        0x20.. => (0x1f, false),
        _ => (0x0f, true),
    };
    let (index, rest) = read_integer(block, prefix)?;
    let rest = if is_literal && index == 0 { skip_string(rest)? } else { rest };
    if is_literal { skip_string(rest) } else { Some(rest) }
}

fn skip_string(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = read_integer(bytes, 0x7f)?;
    rest.get(length..)
}

/// A number whose first byte has these bits of it, and what follows (RFC 7541, section 5.1). Five bytes are as many as the decoder takes.
fn read_integer(bytes: &[u8], prefix: u8) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let mut number = usize::from(first & prefix);
    if number < usize::from(prefix) {
        return Some((number, rest));
    }
    for shift in [0, 7, 14, 21] {
        let (next, later) = rest.split_first()?;
        number += usize::from(next & 0x7f) << shift;
        rest = later;
        if next & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

/// The authority if it is one.
fn authority(value: &[u8]) -> &[u8] {
    let path = value.iter().any(|byte| matches!(byte, b'/' | b'%'));
    if path || Authority::try_from(value).is_err() { STAND_IN } else { value }
}

/// A string without Huffman coding (RFC 7541, section 5.2).
fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer(out, text.len());
    out.extend_from_slice(text);
}

/// A number with a prefix of seven bits, whose first bit is zero (RFC 7541, section 5.1).
fn integer(out: &mut Vec<u8>, number: usize) {
    const PREFIX: usize = 127;
    let low = |number: usize| u8::try_from(number & PREFIX).unwrap_or_default();
    let Some(mut rest) = number.checked_sub(PREFIX) else { return out.push(low(number)) };
    out.push(low(PREFIX));
    while rest > PREFIX {
        out.push(low(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low(rest));
}
