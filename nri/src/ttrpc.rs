//! Calls: what is in a stream of frames. A message is a header of ten bytes (length, number of the call, kind, flags; big endian) and its body, which
//! is a request or a response.

use crate::gather::Gather;
use prost::bytes::Bytes;

/// The longest body that is taken. A runtime of 0.6 writes what it knows in one message, however long, as a short frame and one with all the rest, which
/// may have 16 MiB: so the bound is above that of a frame. It is twice as much, some ten times of what a node with many pods has.
pub(crate) const LONGEST_TAKEN: u32 = 32 << 20;

/// The longest body that is sent: above 4 MiB a runtime refuses it. The slack is for what stands around a payload.
pub(crate) const LONGEST_SENT: usize = (4 << 20) - 4096;

/// The least step in which room for a body is made.
const STEP: usize = 64 << 10;

/// The call is not one that is served here.
pub(crate) const UNIMPLEMENTED: i32 = 12;
/// Any error of the one who was called.
pub(crate) const UNKNOWN: i32 = 2;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody calls.
    Request,
    /// The answer to a call.
    Response,
    /// Something of later versions, which is for nobody here.
    Other(u8),
}

impl Kind {
    const fn of(number: u8) -> Self {
        match number {
            REQUEST => Self::Request,
            RESPONSE => Self::Response,
            other => Self::Other(other),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Request => REQUEST,
            Self::Response => RESPONSE,
            Self::Other(other) => other,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The number of the call, the same in request and response. Those of the caller are odd and rise.
    pub(crate) call: u32,
    /// What it is.
    pub(crate) kind: Kind,
    /// The encoded [`Request`] or [`Response`].
    pub(crate) body: Bytes,
}

/// A call. Metadata of the caller is not declared here and skipped.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Request {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) payload: Bytes,
    /// How long the caller waits; zero: it does not say.
    #[prost(int64, tag = "4")]
    pub(crate) timeout_nano: i64,
}

/// What came of a call.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<Status>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) payload: Bytes,
}

/// What went wrong; code zero: nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

impl Response {
    /// A success with this payload.
    pub(crate) const fn success(payload: Bytes) -> Self {
        Self { status: None, payload }
    }

    /// An error.
    pub(crate) const fn error(code: i32, message: String) -> Self {
        Self { status: Some(Status { code, message }), payload: Bytes::new() }
    }

    /// The status, if it is one of an error. An empty response, without status and payload, is a success.
    pub(crate) fn failure(self) -> Option<Status> {
        self.status.filter(|status| status.code != 0)
    }
}

/// A message longer than any that a runtime needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the runtime announced a message of {length} bytes; at most {LONGEST_TAKEN} are taken")]
pub(crate) struct MessageTooLong {
    length: u32,
}

/// Puts messages together from the bytes of one stream.
#[derive(Debug)]
pub(crate) struct Assembler {
    header: Gather<10>,
    /// The message that is being received, and how much of it is missing.
    unfinished: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    call: u32,
    kind: Kind,
    body: Vec<u8>,
    missing: usize,
}

impl Assembler {
    pub(crate) const fn new() -> Self {
        Self { header: Gather::new(), unfinished: None }
    }

    /// The next whole message, taken from the front of the bytes; `None` when they are used up.
    ///
    /// # Errors
    /// When a message is too long. Nothing that follows can be understood then.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, MessageTooLong> {
        if self.unfinished.is_none() {
            let Some(header) = self.header.take(bytes) else { return Ok(None) };
            self.unfinished = Some(Unfinished::begin(header)?);
        }
        let Some(unfinished) = &mut self.unfinished else { return Ok(None) };
        unfinished.take(bytes);
        if unfinished.missing > 0 {
            return Ok(None);
        }
        Ok(self.unfinished.take().map(|whole| Message { call: whole.call, kind: whole.kind, body: whole.body.into() }))
    }

    /// How much room it holds.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.unfinished.as_ref().map_or(0, |unfinished| unfinished.body.capacity())
    }
}

impl Unfinished {
    fn begin([a, b, c, d, e, f, g, h, kind, _flags]: [u8; 10]) -> Result<Self, MessageTooLong> {
        let (length, call) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let missing = usize::try_from(length).ok().filter(|_| length <= LONGEST_TAKEN).ok_or(MessageTooLong { length })?;
        Ok(Self { call, kind: Kind::of(kind), body: Vec::new(), missing })
    }

    /// Room is made for what has come, not for what was announced: twice as much at each step, never beyond the message's end.
    fn take(&mut self, bytes: &mut &[u8]) {
        let (now, rest) = bytes.split_at(bytes.len().min(self.missing));
        if self.body.capacity() - self.body.len() < now.len() {
            let step = now.len().max(self.body.len()).max(STEP);
            self.body.reserve_exact(step.min(self.missing));
        }
        self.body.extend_from_slice(now);
        self.missing -= now.len();
        *bytes = rest;
    }
}

/// A whole message, header and body.
pub(crate) fn encode(call: u32, kind: Kind, body: &impl prost::Message) -> Vec<u8> {
    let body = body.encode_to_vec();
    // What is sent is bounded far below.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(10 + body.len());
    message.extend(length.to_be_bytes());
    message.extend(call.to_be_bytes());
    message.extend([kind.number(), 0]);
    message.extend(body);
    message
}

#[cfg(test)]
mod tests;
