//! How a call ended badly, in the words of a gRPC client.

use std::fmt;
use tonic::Code;

/// What a client is told of a call that failed: by the server, or by its own transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code; that of the client's own transport for what never reached a service.
    pub code: Code,
    /// What is wrong.
    pub message: String,
}

/// Names of HTTP/2 error codes by number, and what a Go client makes of them.
const RESETS: [(&str, Code); 14] = [
    ("NO_ERROR", Code::Internal),
    ("PROTOCOL_ERROR", Code::Internal),
    ("INTERNAL_ERROR", Code::Internal),
    ("FLOW_CONTROL_ERROR", Code::ResourceExhausted),
    ("SETTINGS_TIMEOUT", Code::Internal),
    ("STREAM_CLOSED", Code::Internal),
    ("FRAME_SIZE_ERROR", Code::Internal),
    ("REFUSED_STREAM", Code::Unavailable),
    ("CANCEL", Code::Cancelled),
    ("COMPRESSION_ERROR", Code::Internal),
    ("CONNECT_ERROR", Code::Internal),
    ("ENHANCE_YOUR_CALM", Code::ResourceExhausted),
    ("INADEQUATE_SECURITY", Code::PermissionDenied),
    ("HTTP_1_1_REQUIRED", Code::Internal),
];

impl Status {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The peer does what HTTP/2 or gRPC does not allow.
    pub(crate) fn broken(what: impl fmt::Display) -> Self {
        Self::new(Code::Internal, format!("protocol broken by the server: {what}"))
    }

    /// There is no connection, or no longer.
    pub(crate) fn unavailable(what: impl fmt::Display) -> Self {
        Self::new(Code::Unavailable, format!("transport: {what}"))
    }

    /// The server reset the stream.
    pub(crate) fn reset(number: u32) -> Self {
        let (name, code) = reset_name(number);
        Self::new(code, format!("stream reset by the server: {name}"))
    }
}

/// The name of an HTTP/2 error code, and the code of a call that it ends.
pub(crate) fn reset_name(number: u32) -> (&'static str, Code) {
    usize::try_from(number).ok().and_then(|at| RESETS.get(at)).copied().unwrap_or(("an unknown code", Code::Unknown))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl std::error::Error for Status {}
