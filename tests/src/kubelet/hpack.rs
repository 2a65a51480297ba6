//! Header blocks as callers write them (RFC 7541).

use super::huffman;
use std::collections::VecDeque;

/// How a client writes its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderStyle {
    /// As Go's client: known fields by number, new ones into the dynamic table, texts in Huffman code where that is shorter. From the
    /// second request of a connection on, most fields are numbers that only the same connection can read.
    #[default]
    Go,
    /// Every field written out and never remembered.
    Literal,
}

/// The entries of the static table that requests use.
const STATIC: [(usize, &str, &str); 6] = [
    (1, ":authority", ""),
    (3, ":method", "POST"),
    (4, ":path", "/"),
    (6, ":scheme", "http"),
    (31, "content-type", ""),
    (58, "user-agent", ""),
];
/// Where the dynamic table begins.
const FIRST_DYNAMIC: usize = 62;
/// The size of the dynamic table without a word about it in SETTINGS.
const TABLE_SIZE: usize = 4096;

/// Writes the header blocks of one connection.
#[derive(Debug)]
pub(crate) struct Encoder {
    style: HeaderStyle,
    /// The newest first.
    table: VecDeque<(String, String)>,
    limit: usize,
    /// A new limit that the peer's decoder does not know of yet.
    untold: bool,
}

fn size_of(name: &str, value: &str) -> usize {
    name.len() + value.len() + 32
}

impl Encoder {
    pub(crate) fn new(style: HeaderStyle) -> Self {
        Self { style, table: VecDeque::new(), limit: TABLE_SIZE, untold: false }
    }

    /// The peer allows a table of this many bytes.
    pub(crate) fn allow(&mut self, bytes: usize) {
        let limit = bytes.min(TABLE_SIZE);
        self.untold |= limit != self.limit;
        self.limit = limit;
        self.evict(0);
    }

    pub(crate) fn encode(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        if std::mem::take(&mut self.untold) {
            number(&mut block, 0x20, 5, self.limit);
        }
        for (name, value) in fields {
            match self.style {
                HeaderStyle::Go => self.like_go(&mut block, name, value),
                HeaderStyle::Literal => {
                    block.push(0);
                    plain(&mut block, name);
                    plain(&mut block, value);
                }
            }
        }
        block
    }

    fn like_go(&mut self, block: &mut Vec<u8>, name: &str, value: &str) {
        let fixed = STATIC.iter().map(|(index, name, value)| (*index, *name, *value));
        let learnt = self.table.iter().enumerate().map(|(at, (name, value))| (FIRST_DYNAMIC + at, name.as_str(), value.as_str()));
        let all: Vec<_> = fixed.chain(learnt).collect();
        if let Some((index, ..)) = all.iter().find(|entry| entry.1 == name && entry.2 == value) {
            return number(block, 0x80, 7, *index);
        }
        let named = all.iter().find(|entry| entry.1 == name).map_or(0, |entry| entry.0);
        let remembered = size_of(name, value) <= self.limit;
        let (mark, bits) = if remembered { (0x40, 6) } else { (0, 4) };
        number(block, mark, bits, named);
        if named == 0 {
            shortest(block, name);
        }
        shortest(block, value);
        if remembered {
            self.evict(size_of(name, value));
            self.table.push_front((name.to_owned(), value.to_owned()));
        }
    }

    /// Makes room for so many bytes.
    fn evict(&mut self, room: usize) {
        let held = |table: &VecDeque<(String, String)>| table.iter().map(|(name, value)| size_of(name, value)).sum::<usize>();
        while !self.table.is_empty() && held(&self.table) + room > self.limit {
            self.table.pop_back();
        }
    }
}

/// A number behind a mark that leaves `bits` bits of the first byte (section 5.1).
fn number(block: &mut Vec<u8>, mark: u8, bits: u32, value: usize) {
    let most = (1usize << bits) - 1;
    let byte = |value: usize| value.to_le_bytes()[0];
    if value < most {
        return block.push(mark | byte(value));
    }
    block.push(mark | byte(most));
    let mut rest = value - most;
    while rest >= 0x80 {
        block.push(byte(rest & 0x7f) | 0x80);
        rest >>= 7;
    }
    block.push(byte(rest));
}

fn plain(block: &mut Vec<u8>, text: &str) {
    number(block, 0, 7, text.len());
    block.extend_from_slice(text.as_bytes());
}

fn shortest(block: &mut Vec<u8>, text: &str) {
    match huffman::encode(text).filter(|coded| coded.len() < text.len()) {
        Some(coded) => {
            number(block, 0x80, 7, coded.len());
            block.extend_from_slice(&coded);
        }
        None => plain(block, text),
    }
}

#[cfg(test)]
mod tests;
