//! Huffman coding of header texts (RFC 7541, section 5.2 and appendix B).

use std::sync::LazyLock;

/// Lengths in bits of the codes of the characters from 0x20 to 0x7e; codes of one length follow each other in the order of characters.
const LENGTHS: [u8; 95] = [
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // space to /
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0 to ?
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // @ to O
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // P to _
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // ` to o
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, // p to ~
];
/// The code of NUL is the first one of 13 bits, before those of characters that can be printed.
const NUL_BITS: u8 = 13;
/// The longest codes that printable ASCII without the backslash needs.
const MOST_BITS: u8 = 15;

/// The codes of these characters.
static CODES: LazyLock<Vec<Option<(u32, u8)>>> = LazyLock::new(|| (0..LENGTHS.len()).map(code).collect());

/// The code of a character and its length; `None` of what no header of ours holds.
fn code(at: usize) -> Option<(u32, u8)> {
    let bits = *LENGTHS.get(at)?;
    if bits > MOST_BITS {
        return None;
    }
    let count = |length: u8| {
        let printable = LENGTHS.iter().filter(|other| **other == length).count();
        u32::try_from(printable).unwrap() + u32::from(length == NUL_BITS)
    };
    // A canonical code: the first one of a length follows the last one of the length before, with a zero behind it.
    let first = (1..=bits).fold(0, |first, length| (first + if length > 1 { count(length - 1) } else { 0 }) << u32::from(length > 1));
    let before = LENGTHS[..at].iter().filter(|other| **other == bits).count();
    Some((first + u32::from(bits == NUL_BITS) + u32::try_from(before).unwrap(), bits))
}

/// The text in Huffman code, filled up with ones; `None` when a character is not printable ASCII, or is a backslash.
pub(crate) fn encode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u64, 0u32);
    for character in text.bytes() {
        let (code, length) = (*CODES.get(usize::from(character.checked_sub(0x20)?))?)?;
        held = held << u32::from(length) | u64::from(code);
        bits += u32::from(length);
        while bits >= 8 {
            bits -= 8;
            bytes.push(low_byte(held >> bits));
        }
    }
    if bits > 0 {
        let ones = 8 - bits;
        bytes.push(low_byte(held << ones | ((1 << ones) - 1)));
    }
    Some(bytes)
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}
