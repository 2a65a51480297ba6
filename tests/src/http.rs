//! One request to the agent's endpoint.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, as sent.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Asks on a unix socket.
///
/// # Errors
/// When nobody listens, or the answer is not HTTP.
pub fn get(socket: &Path, path: &str) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    ask(stream, path)
}

/// Asks on a TCP address.
///
/// # Errors
/// As [`get`].
pub fn get_tcp(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    ask(stream, path)
}

fn ask(mut stream: impl Read + Write, path: &str) -> io::Result<Answer> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let malformed = || io::Error::other(format!("not an HTTP answer: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
