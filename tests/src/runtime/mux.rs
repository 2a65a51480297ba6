//! Frames: several byte streams over one socket, and what may be in one frame.

use super::ttrpc::{HEADER, Message};
use std::io::{self, Read};

/// The stream of the service Plugin, which the plugin serves.
pub(super) const PLUGIN: u32 = 1;
/// The stream of the service Runtime, which the runtime serves.
pub(super) const RUNTIME: u32 = 2;
/// The size of the buffer that the runtime reads a stream through and writes it through.
pub(super) const BUFFER: usize = 4096;

/// A frame that the runtime cannot read: its stream is dead from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) frame: usize,
    pub(super) room: usize,
}

/// What arrived on one stream and is no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    dead: bool,
}

impl Inbox {
    /// Takes a frame's payload. Returns the messages that are whole now.
    ///
    /// The runtime reads a header through a buffer, and the rest of a body of a buffer's size or more straight into its place. A frame must
    /// fit into what it reads into.
    ///
    /// # Errors
    /// When it does not fit. Whatever comes later on this stream is not looked at.
    pub(super) fn take(&mut self, payload: &[u8]) -> Result<Vec<Message>, TooLong> {
        if self.dead {
            return Ok(Vec::new());
        }
        let rest = Message::length(&self.bytes).map_or(0, |whole| whole - self.bytes.len());
        let room = rest.max(BUFFER);
        if payload.len() > room {
            self.dead = true;
            self.bytes = Vec::new();
            return Err(TooLong { frame: payload.len(), room });
        }
        self.bytes.extend_from_slice(payload);
        let mut whole = Vec::new();
        while let Some(length) = Message::length(&self.bytes).filter(|length| *length <= self.bytes.len()) {
            let rest = self.bytes.split_off(length);
            whole.extend(Message::parse(&std::mem::replace(&mut self.bytes, rest)));
        }
        Ok(whole)
    }

    /// Whether nothing that comes is looked at any more.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }
}

/// The next frame: its stream and its payload. `None` at the end. However much a header announces, memory is only taken for what comes.
///
/// # Errors
/// When the socket fails, or ends within a frame.
pub(super) fn read(socket: &mut impl Read) -> io::Result<Option<(u32, Vec<u8>)>> {
    let mut header = Vec::new();
    socket.by_ref().take(8).read_to_end(&mut header)?;
    let Ok(header) = <[u8; 8]>::try_from(header.as_slice()) else {
        return if header.is_empty() { Ok(None) } else { Err(cut("the header of a frame")) };
    };
    let (id, length) = (number(&header[..4]), u64::from(number(&header[4..])));
    let mut payload = Vec::new();
    socket.by_ref().take(length).read_to_end(&mut payload)?;
    if payload.len() as u64 == length { Ok(Some((id, payload))) } else { Err(cut("the payload of a frame")) }
}

fn cut(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the socket ended within {what}"))
}

/// Four bytes as a number.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A message in frames as the runtime writes it: what fits into its buffer in one, a longer one as a full buffer and then all the rest, cut
/// where a frame would be longer than the runtime writes.
pub(super) fn frames(id: u32, message: &[u8], longest: usize) -> Vec<u8> {
    let (first, rest) = message.split_at(message.len().min(BUFFER));
    let mut wire = Vec::with_capacity(message.len() + 16);
    for payload in std::iter::once(first).chain(rest.chunks(longest)) {
        wire.extend(id.to_be_bytes());
        wire.extend(u32::try_from(payload.len()).expect("a frame's length fits").to_be_bytes());
        wire.extend(payload);
    }
    wire
}

/// A body behind a header, as one message of a stream.
pub(super) fn message(stream: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(u32::try_from(body.len()).expect("a message's length fits").to_be_bytes());
    bytes.extend(stream.to_be_bytes());
    bytes.extend([kind, 0]);
    bytes.extend(body);
    bytes
}
