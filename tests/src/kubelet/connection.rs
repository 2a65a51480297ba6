//! One gRPC connection over a unix socket, as Go's client keeps it: many calls, several at a time, and any `:authority`.
//!
//! No client of Rust sends a path as `:authority`, so the frames are written here.

use super::frame::{self, Frame, PREFACE};
use super::hpack::{Encoder, HeaderStyle};
use super::reader;
use super::response::Response;
use super::status::Status;
use gleaner_host::clock;
use gleaner_model::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tonic::Code;

/// How long the kernel may take to accept bytes from us.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// The window of a stream and of a connection before anybody speaks of it.
const WINDOW: i64 = 65_535;

/// What a caller writes as `:authority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authority {
    /// The path of the socket as it is: Go's client of the fork's time, with a dialler of its own.
    #[default]
    RawPath,
    /// The path with its slashes escaped: newer Go clients, and the C library.
    EscapedPath,
    /// `localhost`: later kubelets.
    Localhost,
    /// Nothing.
    Empty,
}

impl Authority {
    /// What is written for a socket.
    #[must_use]
    pub fn text(self, socket: &Path) -> String {
        let path = socket.to_str().expect("the path of a socket is text");
        match self {
            Self::RawPath => path.to_owned(),
            Self::EscapedPath => path.replace('%', "%25").replace('/', "%2F"),
            Self::Localhost => "localhost".to_owned(),
            Self::Empty => String::new(),
        }
    }
}

/// How a client presents itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caller {
    /// What it writes as `:authority`.
    pub authority: Authority,
    /// How it writes headers.
    pub headers: HeaderStyle,
}

/// What the reader has for one call.
#[derive(Debug)]
pub(super) enum Event {
    Headers(Vec<(String, String)>, bool),
    Data(Vec<u8>, bool),
    Reset(u32),
}

/// A call that has no answer yet.
#[derive(Debug)]
pub(super) struct Open {
    /// Bytes that the server takes on this stream.
    pub(super) window: i64,
    pub(super) events: Sender<Event>,
}

/// What the caller and the reader both know.
#[derive(Debug)]
pub(super) struct State {
    pub(super) window: i64,
    pub(super) initial_window: i64,
    pub(super) longest: usize,
    pub(super) open: BTreeMap<u32, Open>,
    pub(super) pinging: bool,
    /// Why there are no more calls.
    pub(super) closed: Option<Status>,
}

#[derive(Debug)]
pub(super) struct Writer {
    stream: UnixStream,
    pub(super) encoder: Encoder,
    next: u32,
}

impl Writer {
    pub(super) fn send(&mut self, frame: &Frame) -> Result<(), Status> {
        frame.write(&mut self.stream).map_err(Status::unavailable)
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) writer: Mutex<Writer>,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

impl Shared {
    /// Ends every open call, and all that follow.
    pub(super) fn close(&self, why: Status) {
        let mut state = self.state.lock().unwrap();
        state.closed.get_or_insert(why);
        state.open.clear();
        self.changed.notify_all();
    }
}

/// A connection. Dropping it hangs up.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    stream: UnixStream,
    reader: Option<JoinHandle<()>>,
    authority: String,
    socket: PathBuf,
}

impl Connection {
    /// Dials a socket and says what a client says first.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(socket: &Path, caller: Caller) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_write_timeout(Some(WRITE_LIMIT))?;
        let mut writer = Writer { stream: stream.try_clone()?, encoder: Encoder::new(caller.headers), next: 1 };
        writer.stream.write_all(PREFACE)?;
        Frame::new(frame::SETTINGS, 0, 0, []).write(&mut writer.stream)?;
        let state =
            State { window: WINDOW, initial_window: WINDOW, longest: frame::LONGEST, open: BTreeMap::new(), pinging: false, closed: None };
        let shared = Arc::new(Shared { writer: Mutex::new(writer), state: Mutex::new(state), changed: Condvar::new() });
        let (reads, theirs) = (stream.try_clone()?, Arc::clone(&shared));
        let reader = thread::Builder::new().name("kubelet-reader".to_owned()).spawn(move || reader::run(&theirs, reads))?;
        Ok(Self { shared, stream, reader: Some(reader), authority: caller.authority.text(socket), socket: socket.to_owned() })
    }

    /// Whether the server has ended the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().unwrap().closed.is_some()
    }

    /// One call with one message each way: `method` is the whole path, `message` the message without its frame.
    ///
    /// # Errors
    /// The server's status; else what broke on the way, in the codes of Go's client.
    pub fn call(&self, method: &str, message: &[u8], deadline: Duration) -> Result<Vec<u8>, Status> {
        let until = clock::now().after(deadline);
        let (stream, events) = self.request(method, deadline)?;
        let answer = self.body(stream, message, until).and_then(|()| self.answer(&events, until));
        self.shared.state.lock().unwrap().open.remove(&stream);
        if answer.as_ref().is_err_and(|status| status.code == Code::DeadlineExceeded) {
            // Go's client gives the stream up; the server must survive that.
            let cancel = Frame::new(frame::RST_STREAM, 0, stream, 8u32.to_be_bytes());
            let _ = self.shared.writer.lock().unwrap().send(&cancel);
        }
        answer.map_err(|status| Status::new(status.code, format!("{} of {}: {}", method, self.socket.display(), status.message)))
    }

    fn request(&self, method: &str, deadline: Duration) -> Result<(u32, Receiver<Event>), Status> {
        let mut writer = self.shared.writer.lock().unwrap();
        let (stream, (sender, events)) = (writer.next, channel());
        {
            let mut state = self.shared.state.lock().unwrap();
            if let Some(why) = &state.closed {
                return Err(why.clone());
            }
            let window = state.initial_window;
            state.open.insert(stream, Open { window, events: sender });
        }
        writer.next += 2;
        // A caller's clock hardly ever shows the same rest twice, so the field is new in each request.
        let timeout = format!("{}u", deadline.as_micros().saturating_sub(u128::from(stream)).min(99_999_999));
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", &self.authority),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-go/1.40.0"),
            ("te", "trailers"),
            ("grpc-timeout", &timeout),
        ];
        let block = writer.encoder.encode(&fields);
        writer.send(&Frame::new(frame::HEADERS, frame::END_HEADERS, stream, block))?;
        Ok((stream, events))
    }

    fn body(&self, stream: u32, message: &[u8], until: Timestamp) -> Result<(), Status> {
        let length = u32::try_from(message.len()).map_err(Status::unavailable)?;
        let framed = [&[0], &length.to_be_bytes()[..], message].concat();
        let mut rest = &framed[..];
        while !rest.is_empty() {
            let Some(room) = self.room(stream, rest.len(), until)? else { return Ok(()) };
            let (now, later) = rest.split_at(room);
            let last = if later.is_empty() { frame::END_STREAM } else { 0 };
            // A server that takes no more may have answered already; the answer says so, or the reader does.
            if self.shared.writer.lock().unwrap().send(&Frame::new(frame::DATA, last, stream, now)).is_err() {
                return Ok(());
            }
            rest = later;
        }
        Ok(())
    }

    /// Takes of the windows what they have, at most `wanted`; `None` when the stream has ended already.
    fn room(&self, stream: u32, wanted: usize, until: Timestamp) -> Result<Option<usize>, Status> {
        let mut state = self.shared.state.lock().unwrap();
        loop {
            let Some(own) = state.open.get(&stream).map(|open| open.window) else { return Ok(None) };
            let room = usize::try_from(own.min(state.window).max(0)).unwrap().min(wanted).min(state.longest);
            if room > 0 {
                let taken = i64::try_from(room).unwrap();
                state.window -= taken;
                state.open.entry(stream).and_modify(|open| open.window -= taken);
                return Ok(Some(room));
            }
            let left = until.since(clock::now());
            if left.is_zero() {
                return Err(Status::new(Code::DeadlineExceeded, "the server opened no window in time"));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn answer(&self, events: &Receiver<Event>, until: Timestamp) -> Result<Vec<u8>, Status> {
        let mut response = Response::default();
        loop {
            let ended = match events.recv_timeout(until.since(clock::now())) {
                Ok(Event::Headers(fields, end)) => response.headers(fields, end)?,
                Ok(Event::Data(bytes, end)) => response.data(&bytes, end)?,
                Ok(Event::Reset(code)) => return Err(Status::reset(code)),
                Err(RecvTimeoutError::Timeout) => return Err(Status::new(Code::DeadlineExceeded, "no answer in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    let closed = self.shared.state.lock().unwrap().closed.clone();
                    return Err(closed.unwrap_or_else(|| Status::unavailable("the call was given up")));
                }
            };
            if ended {
                return response.finish();
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// One call on a connection of its own.
///
/// # Errors
/// As [`Connection::call`], and `Unavailable` when nobody listens.
pub fn raw_call(socket: &Path, caller: Caller, method: &str, message: &[u8], deadline: Duration) -> Result<Vec<u8>, Status> {
    let connection = Connection::open(socket, caller).map_err(|e| Status::unavailable(format!("{}: {e}", socket.display())))?;
    connection.call(method, message, deadline)
}

#[cfg(test)]
mod tests;
