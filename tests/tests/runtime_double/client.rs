//! A plugin that does as it is told, with frames and calls of its own.

use crate::limit;
use gleaner_crds::nri::{ConfigureResponse, RegisterPluginRequest};
use gleaner_tests::runtime::{Entry, Runtime};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// How a message is put into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Header and body together, whatever their size.
    One,
    /// The header, then the body.
    HeaderThenBody,
    /// At most so many bytes a frame.
    Pieces(usize),
    /// A full buffer, then all the rest.
    FullThenRest,
}

impl Framing {
    pub(crate) fn cut(self, stream: u32, message: &[u8]) -> Vec<u8> {
        let (first, rest) = match self {
            Self::One | Self::Pieces(_) => (message, &[][..]),
            Self::HeaderThenBody => message.split_at(10),
            Self::FullThenRest => message.split_at(message.len().min(4096)),
        };
        let pieces: Vec<&[u8]> = match self {
            Self::Pieces(most) => first.chunks(most).collect(),
            _ => [first, rest].into_iter().filter(|piece| !piece.is_empty()).collect(),
        };
        pieces.into_iter().flat_map(|piece| frame(stream, piece)).collect()
    }
}

/// One frame.
pub(crate) fn frame(stream: u32, payload: &[u8]) -> Vec<u8> {
    [&stream.to_be_bytes()[..], &u32::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
}

/// A message with its header.
pub(crate) fn message(id: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &id.to_be_bytes()[..], &[kind, 0], body].concat()
}

/// A field of a message that holds bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut wire);
    wire
}

/// A call's body.
pub(crate) fn request(service: &str, method: &str, payload: &[u8]) -> Vec<u8> {
    [field(1, service.as_bytes()), field(2, method.as_bytes()), field(3, payload)].concat()
}

fn status(code: i32, text: &str) -> Vec<u8> {
    let mut inner = Vec::new();
    prost::encoding::int32::encode(1, &code, &mut inner);
    inner.extend(field(2, text.as_bytes()));
    field(1, &inner)
}

/// Requests and responses, as far as the plugin looks at them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) first: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) second: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) third: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub(crate) timeout: i64,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(crate) metadata: Vec<Vec<u8>>,
}

/// An answer to the runtime.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// This message.
    Ok(Vec<u8>),
    /// A status.
    No(i32, String),
    /// Nothing.
    Never,
    /// The body of a response, as it is.
    Raw(Vec<u8>),
}

impl Reply {
    pub(crate) fn of(message: &impl Message) -> Self {
        Self::Ok(message.encode_to_vec())
    }
}

/// A call of the runtime.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) method: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) timeout: i64,
    /// Whether it carries metadata.
    pub(crate) from_cri: bool,
    /// The lengths of the frames that it came in.
    pub(crate) frames: Vec<usize>,
}

type Handler = dyn FnMut(&Call) -> Reply + Send;

/// How a plugin is.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) index: &'static str,
    pub(crate) events: i32,
    pub(crate) framing: Framing,
    pub(crate) handler: Box<Handler>,
}

impl Plan {
    /// One that wants everything and has nothing to say.
    pub(crate) fn new() -> Self {
        Self::answers(|_| Reply::Ok(Vec::new()))
    }

    pub(crate) fn answers(handler: impl FnMut(&Call) -> Reply + Send + 'static) -> Self {
        Self { name: "fake", index: "10", events: 0, framing: Framing::Pieces(4096), handler: Box::new(handler) }
    }

    /// One that answers one method like this.
    pub(crate) fn on(method: &'static str, mut reply: impl FnMut(&[u8]) -> Reply + Send + 'static) -> Self {
        Self::answers(move |call| if call.method == method { reply(&call.payload) } else { Reply::Ok(Vec::new()) })
    }

    pub(crate) fn index(mut self, index: &'static str) -> Self {
        self.index = index;
        self
    }

    pub(crate) fn events(mut self, events: i32) -> Self {
        self.events = events;
        self
    }

    pub(crate) fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }
}

/// What arrived, as its reader keeps it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Call>,
    /// Whether the runtime closed the connection.
    pub(crate) ended: bool,
}

/// What a call of the runtime's service comes to: a message, or a code and words.
pub(crate) type Answer = Result<Vec<u8>, (i32, String)>;

/// A plugin with its connection.
pub(crate) struct Plugin {
    socket: UnixStream,
    framing: Framing,
    next: u32,
    answers: Receiver<(u32, Answer)>,
    early: Mutex<BTreeMap<u32, Answer>>,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

impl Plugin {
    /// Connects and answers, but does not register.
    pub(crate) fn connect(socket: &Path, plan: Plan) -> io::Result<Self> {
        let socket = UnixStream::connect(socket)?;
        let (sender, answers) = channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (mut theirs, their_seen, framing) = (socket.try_clone()?, Arc::clone(&seen), plan.framing);
        let reader = thread::spawn(move || {
            // An error is an end too.
            let _ = read(&mut theirs, plan, &their_seen, &sender);
            their_seen.lock().unwrap().ended = true;
        });
        Ok(Self { socket, framing, next: 1, answers, early: Mutex::default(), seen, reader: Some(reader) })
    }

    /// Connects, registers, and waits until events come.
    pub(crate) fn join(runtime: &Runtime, plan: Plan) -> Self {
        let added = |log: &[Entry]| log.iter().filter(|entry| matches!(entry, Entry::Added(_))).count();
        let already = added(&runtime.log());
        let plugin = Self::registered(runtime, plan);
        runtime.wait_for("the plugin is added", limit(), |log| (added(log) > already).then_some(()));
        plugin
    }

    /// Connects and registers.
    pub(crate) fn registered(runtime: &Runtime, plan: Plan) -> Self {
        let (name, index) = (plan.name, plan.index);
        let mut plugin = Self::connect(&runtime.socket(), plan).unwrap();
        assert_eq!(plugin.register(name, index), Ok(Vec::new()));
        plugin
    }

    pub(crate) fn register(&mut self, name: &str, index: &str) -> Answer {
        let asked = RegisterPluginRequest { plugin_name: name.to_owned(), plugin_idx: index.to_owned(), ..Default::default() };
        self.call("RegisterPlugin", &asked.encode_to_vec())
    }

    /// A call of the runtime's service, to its answer.
    pub(crate) fn call(&mut self, method: &str, payload: &[u8]) -> Answer {
        let id = self.next;
        self.next += 2;
        self.ask(id, "nri.pkg.api.v1alpha1.Runtime", method, payload);
        self.answer(id)
    }

    /// A call under this id, without waiting.
    pub(crate) fn ask(&self, id: u32, service: &str, method: &str, payload: &[u8]) {
        self.send(&self.framing.cut(2, &message(id, 1, &request(service, method, payload))));
    }

    pub(crate) fn answer(&self, id: u32) -> Answer {
        let mut early = self.early.lock().unwrap();
        loop {
            // Answers may overtake each other.
            if let Some(answer) = early.remove(&id) {
                return answer;
            }
            early.extend([self.answers.recv_timeout(limit()).expect("an answer")]);
        }
    }

    /// Whether nothing was answered so far.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.answers.try_recv().is_err()
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        // The runtime may have closed meanwhile.
        let _ = (&self.socket).write_all(bytes);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().calls.clone()
    }

    pub(crate) fn methods(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.method).collect()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.seen.lock().unwrap().ended
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        let ended = self.reader.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the plugin panicked");
    }
}

fn read(socket: &mut UnixStream, mut plan: Plan, seen: &Mutex<Seen>, answers: &Sender<(u32, Answer)>) -> io::Result<()> {
    let mut streams: BTreeMap<u32, (Vec<u8>, Vec<usize>)> = BTreeMap::new();
    loop {
        let mut header = [0; 8];
        socket.read_exact(&mut header)?;
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        let mut payload = vec![0; number(&header[4..]) as usize];
        socket.read_exact(&mut payload)?;
        let stream = number(&header[..4]);
        let (bytes, frames) = streams.entry(stream).or_default();
        bytes.extend(&payload);
        frames.push(payload.len());
        while bytes.len() >= 10 && bytes.len() >= 10 + number(&bytes[..4]) as usize {
            let rest = bytes.split_off(10 + number(&bytes[..4]) as usize);
            let (whole, frames) = (std::mem::replace(bytes, rest), std::mem::take(frames));
            let Ok(wire) = Wire::decode(&whole[10..]) else { continue };
            let id = number(&whole[4..8]);
            if stream == 2 {
                let _ = answers.send((id, decode_answer(&wire)));
                continue;
            }
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            assert_eq!((whole[8], text(&wire.first).as_str()), (1, "nri.pkg.api.v1alpha1.Plugin"));
            let (method, from_cri) = (text(&wire.second), !wire.metadata.is_empty());
            let call = Call { id, method, payload: wire.third, timeout: wire.timeout, from_cri, frames };
            seen.lock().unwrap().calls.push(call.clone());
            let reply = match (plan.handler)(&call) {
                Reply::Ok(payload) if payload.is_empty() && call.method == "Configure" => {
                    field(2, &ConfigureResponse { events: plan.events }.encode_to_vec())
                }
                Reply::Ok(payload) => field(2, &payload),
                Reply::No(code, text) => status(code, &text),
                Reply::Raw(body) => body,
                Reply::Never => continue,
            };
            socket.write_all(&plan.framing.cut(1, &message(id, 2, &reply)))?;
        }
    }
}

/// A status where the first field has one, else the payload.
fn decode_answer(wire: &Wire) -> Answer {
    if wire.first.is_empty() {
        return Ok(wire.second.clone());
    }
    #[derive(Clone, PartialEq, Message)]
    struct Refusal {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        text: String,
    }
    let refusal = Refusal::decode(wire.first.as_slice()).unwrap();
    Err((refusal.code, refusal.text))
}
