//! Frames: how two byte streams share one socket. A frame is the number of a stream and a length, both four bytes and big endian, and as many bytes of
//! that stream. Where frames begin and end means nothing to what is in the streams.

use crate::gather::Gather;
use std::collections::VecDeque;

/// The longest payload that is sent. The runtime reads into 4096 bytes; a frame that holds the header of a message and more than that of its body makes
/// it stop reading, for ever and without a word. Frames of this size at most are safe whatever they hold.
pub(crate) const LONGEST_SENT: usize = 4096;

/// The longest payload that is taken: runtimes write up to 16 MiB in a frame, newer ones 4 MiB and a header. A longer one is no frame, but the sign
/// that the two sides no longer agree on where frames begin.
pub(crate) const LONGEST_TAKEN: u32 = (16 << 20) + 4096;

/// A stream that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The runtime calls the plugin.
    Plugin,
    /// The plugin calls the runtime.
    Runtime,
}

impl Channel {
    const fn number(self) -> u32 {
        match self {
            Self::Plugin => 1,
            Self::Runtime => 2,
        }
    }

    const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Plugin),
            2 => Some(Self::Runtime),
            _ => None,
        }
    }
}

/// A frame longer than any that a runtime writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the runtime announced a frame of {length} bytes for stream {stream}; at most {LONGEST_TAKEN} are taken")]
pub(crate) struct FrameTooLong {
    /// The number of its stream.
    stream: u32,
    /// Its length.
    length: u32,
}

/// Takes frames apart. It keeps nothing but an unfinished header: payload is handed on as it comes, and that of unknown streams is skipped.
#[derive(Debug)]
pub(crate) struct Decoder {
    header: Gather<8>,
    channel: Option<Channel>,
    left: usize,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self { header: Gather::new(), channel: None, left: 0 }
    }

    /// The next bytes of a known stream, taken from the front of what was received; `None` when that is used up.
    ///
    /// # Errors
    /// When a frame is too long. Nothing that follows can be understood then.
    pub(crate) fn next<'a>(&mut self, received: &mut &'a [u8]) -> Result<Option<(Channel, &'a [u8])>, FrameTooLong> {
        while !received.is_empty() {
            if self.left == 0 {
                self.begin(received)?;
                continue;
            }
            let (now, rest) = received.split_at(received.len().min(self.left));
            *received = rest;
            self.left -= now.len();
            if let Some(channel) = self.channel {
                return Ok(Some((channel, now)));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, received: &mut &[u8]) -> Result<(), FrameTooLong> {
        let Some([a, b, c, d, e, f, g, h]) = self.header.take(received) else { return Ok(()) };
        let (stream, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let left = usize::try_from(length).ok().filter(|_| length <= LONGEST_TAKEN);
        self.left = left.ok_or(FrameTooLong { stream, length })?;
        self.channel = Channel::of(stream);
        Ok(())
    }
}

/// Cuts a whole message into frames.
pub(crate) fn encode(channel: Channel, message: &[u8], out: &mut VecDeque<u8>) {
    for payload in message.chunks(LONGEST_SENT) {
        // Never longer than LONGEST_SENT, so it always fits.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        out.extend(channel.number().to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(payload);
    }
}

#[cfg(test)]
mod tests;
