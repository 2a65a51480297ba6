//! Calls on a stream of bytes: headers, requests, responses, status codes.

use super::mux::number;

/// Bytes before a body.
pub(super) const HEADER: usize = 10;
/// The largest body that either side takes.
pub(super) const LARGEST: usize = 4 << 20;
pub(super) const REQUEST: u8 = 1;
pub(super) const RESPONSE: u8 = 2;

/// Codes of statuses.
pub(super) mod code {
    pub(crate) const UNKNOWN: i32 = 2;
    pub(crate) const INVALID: i32 = 3;
    pub(crate) const TOO_LARGE: i32 = 8;
    pub(crate) const UNIMPLEMENTED: i32 = 12;
}

/// One message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) stream: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The length of the message that these bytes begin with, header included; `None` while the header is not whole.
    pub(super) fn length(bytes: &[u8]) -> Option<usize> {
        let header = bytes.get(..HEADER)?;
        Some(HEADER + usize::try_from(number(&header[..4])).expect("a pointer has 32 bits"))
    }

    /// A message from all of its bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(HEADER)?;
        Some(Self { stream: number(&header[4..8]), kind: header[8], flags: header[9], body: body.to_vec() })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(string, tag = "1")]
    pub(super) service: String,
    #[prost(string, tag = "2")]
    pub(super) method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub(super) timeout_nano: i64,
    #[prost(message, repeated, tag = "5")]
    pub(super) metadata: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) payload: Vec<u8>,
}

/// Why a call failed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

impl Status {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Of a body that is too long to be read.
    pub(super) fn too_large(length: usize) -> Self {
        Self::new(code::TOO_LARGE, format!("message length {length} exceed maximum message size of {LARGEST}"))
    }

    /// As a caller of the runtime sees a plugin's words.
    pub(super) fn text(&self) -> String {
        let name = match self.code {
            code::UNKNOWN => "Unknown".to_owned(),
            code::INVALID => "InvalidArgument".to_owned(),
            code::TOO_LARGE => "ResourceExhausted".to_owned(),
            code::UNIMPLEMENTED => "Unimplemented".to_owned(),
            other => format!("Code({other})"),
        };
        format!("rpc error: code = {name} desc = {}", self.message)
    }
}
