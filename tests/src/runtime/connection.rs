//! One connection of a plugin: calls to it, answers to its calls.

use super::mux::{self, PLUGIN, RUNTIME};
use super::options::Version;
use super::ttrpc::{LARGEST, Pair, REQUEST, RESPONSE, Request, Response, Status, code};
use gleaner_host::clock;
use gleaner_model::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// What a plugin says first, with the id that its answer goes to.
#[derive(Debug)]
pub(super) enum Registering {
    Accepted { stream: u32 },
    Refused,
}

/// Why a call has no answer of use.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// The plugin says no.
    Status(Status),
    /// No answer in time.
    Late,
    /// There is nobody to answer.
    Closed(String),
}

#[derive(Debug)]
struct Calls {
    next: u32,
    open: BTreeMap<u32, Sender<Vec<u8>>>,
    given_up: BTreeSet<u32>,
    /// Why there are no more calls: the connection is closed, or what the plugin answered cannot be read.
    broken: Option<String>,
    closed: bool,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Pending {
    stream: u32,
    answer: Receiver<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) registering: Mutex<Option<Sender<Registering>>>,
    socket: UnixStream,
    writer: Mutex<UnixStream>,
    calls: Mutex<Calls>,
    label: OnceLock<String>,
    events: AtomicI32,
    version: Version,
}

impl Connection {
    /// Around an accepted socket, which takes at most this long to write to.
    pub(super) fn new(
        number: u64,
        socket: UnixStream,
        version: Version,
        limit: Duration,
        registering: Sender<Registering>,
    ) -> io::Result<Self> {
        socket.set_write_timeout(Some(limit))?;
        let writer = Mutex::new(socket.try_clone()?);
        let (open, given_up) = (BTreeMap::new(), BTreeSet::new());
        let calls = Mutex::new(Calls { next: 1, open, given_up, broken: None, closed: false });
        let (label, events, registering) = (OnceLock::new(), AtomicI32::new(0), Mutex::new(Some(registering)));
        Ok(Self { number, registering, socket, writer, calls, label, events, version })
    }

    /// Index and name; of a plugin that did not register the number of its connection.
    pub(super) fn label(&self) -> String {
        self.label.get().cloned().unwrap_or_else(|| format!("connection {}", self.number))
    }

    /// Takes a name, once.
    pub(super) fn name(&self, label: String) -> bool {
        self.label.set(label).is_ok()
    }

    pub(super) fn subscribe(&self, events: i32) {
        self.events.store(events, Ordering::Relaxed);
    }

    /// Whether it wants an event: of mask zero all.
    pub(super) fn wants(&self, event: i32) -> bool {
        let mask = self.events.load(Ordering::Relaxed);
        mask == 0 || mask & (1 << (event - 1)) != 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.calls.lock().unwrap().closed
    }

    /// Whether the plugin has closed its end, noticed by the reader or not yet.
    pub(super) fn is_hung_up(&self) -> bool {
        let mut asked = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        poll(&mut asked, PollTimeout::ZERO).is_ok() && asked[0].revents().is_some_and(|seen| seen.intersects(gone))
    }

    /// Closes the connection. False when it was closed already.
    pub(super) fn close(&self) -> bool {
        let first = {
            let mut calls = self.calls.lock().unwrap();
            calls.broken.get_or_insert_with(|| "ttrpc: closed".to_owned());
            calls.open.clear();
            !std::mem::replace(&mut calls.closed, true)
        };
        *self.registering.lock().unwrap() = None;
        let _ = self.socket.shutdown(Shutdown::Both);
        first
    }

    /// Ends all calls, as nothing that comes back can be read. The connection stays.
    pub(super) fn give_up_calls(&self) {
        let mut calls = self.calls.lock().unwrap();
        calls.broken.get_or_insert_with(|| "ttrpc: closed".to_owned());
        calls.open.clear();
    }

    /// Bytes as they are.
    pub(super) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        self.writer.lock().unwrap().write_all(bytes)
    }

    /// Sends a request. From 0.7 on a message that is too large is not sent, and uses up an id.
    pub(super) fn begin(&self, method: &str, payload: Vec<u8>, limit: Duration, from_cri: bool) -> Result<Pending, Failure> {
        let caller = Pair { key: "containerd-namespace-ttrpc".to_owned(), value: "k8s.io".to_owned() };
        let request = Request {
            service: "nri.pkg.api.v1alpha1.Plugin".to_owned(),
            method: method.to_owned(),
            payload,
            timeout_nano: i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX).saturating_sub(1_000_000),
            metadata: from_cri.then_some(caller).into_iter().collect(),
        };
        let body = request.encode_to_vec();
        let (sender, answer) = channel();
        // Held over both, so that ids rise on the wire.
        let mut writer = self.writer.lock().unwrap();
        let stream = {
            let mut calls = self.calls.lock().unwrap();
            if let Some(why) = &calls.broken {
                return Err(Failure::Closed(why.clone()));
            }
            let stream = calls.next;
            calls.next += 2;
            if body.len() > LARGEST && self.version > Version::V0_6 {
                return Err(Failure::Status(Status::too_large(body.len())));
            }
            calls.open.insert(stream, sender);
            stream
        };
        let wire = mux::frames(PLUGIN, &mux::message(stream, REQUEST, &body), self.longest());
        match writer.write_all(&wire) {
            Ok(()) => Ok(Pending { stream, answer }),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(Failure::Late),
            Err(error) => Err(Failure::Closed(error.to_string())),
        }
    }

    /// Waits for an answer.
    pub(super) fn finish(&self, pending: &Pending, until: Timestamp) -> Result<Vec<u8>, Failure> {
        let body = match pending.answer.recv_timeout(until.since(clock::now())) {
            Ok(body) => body,
            Err(RecvTimeoutError::Timeout) => {
                let mut calls = self.calls.lock().unwrap();
                calls.open.remove(&pending.stream);
                calls.given_up.insert(pending.stream);
                return Err(Failure::Late);
            }
            Err(RecvTimeoutError::Disconnected) => {
                let why = self.calls.lock().unwrap().broken.clone();
                return Err(Failure::Closed(why.unwrap_or_default()));
            }
        };
        if body.len() > LARGEST && self.version > Version::V0_6 {
            return Err(Failure::Status(Status::too_large(body.len())));
        }
        let response = Response::decode(body.as_slice())
            .map_err(|error| Failure::Status(Status::new(code::INVALID, format!("the answer is no response: {error}"))))?;
        match response.status.filter(|status| status.code != 0) {
            Some(status) => Err(Failure::Status(status)),
            None => Ok(response.payload),
        }
    }

    /// Takes an answer in. False when nobody ever asked for it.
    pub(super) fn answered(&self, stream: u32, body: Vec<u8>) -> bool {
        let mut calls = self.calls.lock().unwrap();
        match calls.open.remove(&stream) {
            // Whoever asked may have given up just now.
            Some(waits) => waits.send(body).is_ok() || calls.closed,
            None => calls.given_up.remove(&stream) || calls.closed,
        }
    }

    /// Answers a call of the plugin: nothing at all in the body when there is nothing to say.
    pub(super) fn answer(&self, stream: u32, answer: Result<Vec<u8>, Status>) {
        let response = match answer {
            Ok(payload) => Response { status: None, payload },
            Err(status) => Response { status: Some(status), payload: Vec::new() },
        };
        let wire = mux::frames(RUNTIME, &mux::message(stream, RESPONSE, &response.encode_to_vec()), self.longest());
        // A plugin that is gone needs no answer; the reader notices.
        let _ = self.raw(&wire);
    }

    /// The longest frame that the runtime writes.
    fn longest(&self) -> usize {
        if self.version == Version::V0_6 { 16 << 20 } else { LARGEST + 10 }
    }
}
