//! One connection's conversation, from its first byte to its last: bytes and answers go in, bytes, events and questions come out. No socket and no
//! clock; every moment is the time since the connection was made.
//!
//! The runtime's calls are served from the first byte on, since it may configure a plugin before it answers its registration. Our own only call is
//! `RegisterPlugin`. `UpdateContainers` is not offered at all: up to 0.12.0 it can lock the whole runtime up for good, and nothing needs it, since what
//! is not part of an answer is written to the cgroups directly.
//!
//! Nothing that goes wrong here makes the runtime fail a pod: what cannot be understood is answered as if there were no opinion. Only a refusal that was
//! decided is passed on.

mod call;
mod parts;
mod question;

pub(crate) use question::{Question, Reply};

use crate::event::{Event, KnownRuntime};
use crate::mux::{self, Channel, FrameTooLong};
use crate::ttrpc::{self, Assembler, Kind, Message, MessageTooLong, Request, Response};
use call::{Call, Unread};
use gleaner_crds::nri as wire;
use parts::{Parts, TooMuch};
use prost::Message as _;
use prost::bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// The name that the runtime knows us by.
const NAME: &str = "gleaner";
/// The protocol that this was written after. Runtimes only log it.
const PROTOCOL: &str = "v0.12.0";
const RUNTIME_SERVICE: &str = "nri.pkg.api.v1alpha1.Runtime";
const REGISTER: &str = "RegisterPlugin";
/// Our first and only call.
const REGISTER_CALL: u32 = 1;

/// How long a call of ours may take. The runtime lets plugins in one by one and gives one that says nothing 5 s, so this outlasts one of those.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// How long after the registration everything must have been told. It takes some tenths of a second; without it nothing will ever come.
const SYNCHRONIZED_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked, while the runtime may tell what exists, whether this process stood still.
const BEAT: Duration = Duration::from_millis(500);
/// How long it may stand still then: what came meanwhile may be older than it looks, and answered too late.
const STILL: Duration = Duration::from_millis(1500);
/// How long the runtime waits for an answer, where it does not say so.
const RUNTIME_WAITS: Duration = Duration::from_secs(2);

/// Why a conversation must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("{0}")]
    Frame(#[from] FrameTooLong),
    #[error("{0}")]
    Message(#[from] MessageTooLong),
    #[error("{0}")]
    Parts(#[from] TooMuch),
    #[error("the runtime refused the registration: {0}")]
    Refused(String),
    #[error("the runtime did not answer the registration within {} s", ANSWER_WITHIN.as_secs())]
    Unanswered,
    #[error("the runtime took the registration, but did not tell what exists within {} s", SYNCHRONIZED_WITHIN.as_secs())]
    Untold,
    /// A runtime of 0.6 keeps the connection then and never sends an event.
    #[error("what exists was answered after {} ms, too late for the runtime", .0.as_millis())]
    Late(Duration),
    /// So a runtime of 0.6 may have waited for longer than it seems.
    #[error("the agent stood still for {} ms while the runtime was to tell what exists: the answer may be too late for it", .0.as_millis())]
    Still(Duration),
}

/// Something for the one who decides.
#[derive(Debug)]
pub(crate) enum Step {
    /// To be told.
    Tell(Event),
    /// To be told, and its answer to be given to [`Session::answer`].
    Ask(Event, Question),
}

/// How far it has come.
#[derive(Debug)]
enum Phase {
    /// Registering, or waiting to be told what exists.
    Young,
    /// Parts of what exists have come.
    Parts(Parts),
    /// All of it has come, and its answer must be out at `due`.
    Answering { call: u32, begun: Duration, due: Duration },
    /// The answer is being sent.
    Flushing { begun: Duration, due: Duration },
    /// Events come.
    Settled,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    decoder: mux::Decoder,
    calls: Assembler,
    responses: Assembler,
    out: VecDeque<u8>,
    /// When the registration was answered.
    registered: Option<Duration>,
    /// When this process was last seen at work.
    awake: Duration,
    /// Whether the runtime has told of itself; what exists comes next.
    configured: bool,
    phase: Phase,
    runtime: KnownRuntime,
    unified: bool,
}

impl Session {
    /// A conversation that begins with our registration at a place in the order of plugins; `unified`: the node has cgroup v2.
    pub(crate) fn new(index: &str, unified: bool) -> Self {
        let mut session = Self {
            decoder: mux::Decoder::new(),
            calls: Assembler::new(),
            responses: Assembler::new(),
            out: VecDeque::new(),
            registered: None,
            awake: Duration::ZERO,
            configured: false,
            phase: Phase::Young,
            runtime: KnownRuntime::default(),
            unified,
        };
        let who =
            wire::RegisterPluginRequest { plugin_name: NAME.to_owned(), plugin_idx: index.to_owned(), nri_version: PROTOCOL.to_owned() };
        let request = Request {
            service: RUNTIME_SERVICE.to_owned(),
            method: REGISTER.to_owned(),
            payload: who.encode_to_vec().into(),
            timeout_nano: i64::try_from(ANSWER_WITHIN.as_nanos()).unwrap_or(0),
        };
        mux::encode(Channel::Runtime, &ttrpc::encode(REGISTER_CALL, Kind::Request, &request), &mut session.out);
        session
    }

    /// Takes bytes that were received, in chunks of any size.
    ///
    /// # Errors
    /// When the conversation must end.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], at: Duration) -> Result<Vec<Step>, Cut> {
        let mut steps = Vec::new();
        self.awake = at;
        while let Some((channel, mut chunk)) = self.decoder.next(&mut bytes)? {
            match channel {
                Channel::Plugin => {
                    while let Some(message) = self.calls.next(&mut chunk)? {
                        steps.extend(self.called(message, at)?);
                    }
                }
                Channel::Runtime => {
                    while let Some(message) = self.responses.next(&mut chunk)? {
                        self.answered(message, at)?;
                    }
                }
            }
        }
        Ok(steps)
    }

    /// Bytes to be sent; none: there is nothing to send.
    pub(crate) fn output(&self) -> &[u8] {
        self.out.as_slices().0
    }

    /// How many bytes are to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.out.len()
    }

    /// The first bytes of [`Session::output`] were sent.
    ///
    /// # Errors
    /// When the conversation must end.
    pub(crate) fn sent(&mut self, count: usize, at: Duration) -> Result<(), Cut> {
        self.out.drain(..count.min(self.out.len()));
        match self.phase {
            Phase::Flushing { begun, due } if self.out.is_empty() => {
                self.phase = Phase::Settled;
                if at >= due { Err(Cut::Late(at.saturating_sub(begun))) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Gives the answer to a question.
    pub(crate) fn answer(&mut self, reply: Reply) {
        let Reply { call, outcome } = reply;
        let response = match outcome {
            Ok(payload) => Response::success(payload),
            Err(refusal) => Response::error(ttrpc::UNKNOWN, refusal),
        };
        self.respond(call, response);
        if let Phase::Answering { call: synchronize, begun, due } = self.phase
            && synchronize == call
        {
            self.phase = Phase::Flushing { begun, due };
        }
    }

    /// When [`Session::check`] has to be asked; `None`: nothing is waited for.
    pub(crate) fn due(&self) -> Option<Duration> {
        match (self.registered, &self.phase) {
            (None, _) => Some(ANSWER_WITHIN),
            (Some(registered), Phase::Young | Phase::Parts(_)) => {
                let untold = registered.saturating_add(SYNCHRONIZED_WITHIN);
                Some(if self.watches_itself() { untold.min(self.awake.saturating_add(BEAT)) } else { untold })
            }
            (Some(_), Phase::Answering { due, .. } | Phase::Flushing { due, .. }) => Some(*due),
            (Some(_), Phase::Settled) => None,
        }
    }

    /// Whether what is waited for came in time.
    ///
    /// # Errors
    /// When it did not.
    pub(crate) fn check(&mut self, at: Duration) -> Result<(), Cut> {
        let still = at.saturating_sub(std::mem::replace(&mut self.awake, at));
        if self.watches_itself() && still >= STILL {
            return Err(Cut::Still(still));
        }
        if self.due().is_none_or(|due| at < due) {
            return Ok(());
        }
        Err(match (self.registered, &self.phase) {
            (None, _) => Cut::Unanswered,
            (_, Phase::Answering { begun, .. } | Phase::Flushing { begun, .. }) => Cut::Late(at.saturating_sub(*begun)),
            _ => Cut::Untold,
        })
    }

    /// Whether a runtime of 0.6 may be telling what exists: it does not close a connection on which it was answered too late.
    const fn watches_itself(&self) -> bool {
        self.configured && !self.runtime.shows_unified && matches!(self.phase, Phase::Young | Phase::Parts(_))
    }

    /// Whether events come: everything was told and answered in time.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Settled)
    }

    fn respond(&mut self, call: u32, mut response: Response) {
        if response.payload.len() > ttrpc::LONGEST_SENT {
            tracing::warn!("nri: an answer of {} bytes is longer than the runtime takes; it goes without", response.payload.len());
            response = Response::success(Bytes::new());
        }
        mux::encode(Channel::Plugin, &ttrpc::encode(call, Kind::Response, &response), &mut self.out);
    }

    fn answered(&mut self, message: Message, at: Duration) -> Result<(), Cut> {
        if message.kind != Kind::Response || message.call != REGISTER_CALL {
            return Ok(());
        }
        let response = Response::decode(message.body).unwrap_or_else(|e| Response::error(ttrpc::UNKNOWN, format!("unreadable: {e}")));
        if let Some(status) = response.failure() {
            return Err(Cut::Refused(status.message.chars().take(300).collect()));
        }
        self.registered.get_or_insert(at);
        Ok(())
    }

    fn called(&mut self, message: Message, at: Duration) -> Result<Option<Step>, Cut> {
        if message.kind != Kind::Request {
            return Ok(None);
        }
        let call = message.call;
        let request = match Request::decode(message.body) {
            Ok(request) => request,
            Err(e) => {
                tracing::warn!("nri: a call of the runtime cannot be read: {e}");
                self.respond(call, Response::success(Bytes::new()));
                return Ok(None);
            }
        };
        // Without a limit of its own, the runtime's usual one.
        let waits = u64::try_from(request.timeout_nano).ok().filter(|nanos| *nanos > 0).map_or(RUNTIME_WAITS, Duration::from_nanos);
        match call::read(&request.service, &request.method, request.payload) {
            Ok(Call::Configure(told)) => Ok(Some(self.configure(call, told))),
            Ok(Call::Synchronize(part)) => self.synchronize(call, part, waits, at),
            Ok(Call::Update(request)) => Ok(self.step(call, question::on_update(call, *request, &self.runtime, waits, self.unified))),
            Ok(Call::Event(event, about)) => Ok(self.step(call, question::on_event(call, event, *about, waits, self.unified))),
            Ok(Call::Nothing) => Ok(self.step(call, Ok(None))),
            Err(Unread::Unknown) => {
                self.respond(call, Response::error(ttrpc::UNIMPLEMENTED, call::unknown(&request.method)));
                Ok(None)
            }
            Err(Unread::Malformed(cause)) => Ok(self.step(call, Err(cause))),
        }
    }

    /// Answers what nobody else will.
    fn step(&mut self, call: u32, step: Result<Option<Step>, String>) -> Option<Step> {
        let step = step.unwrap_or_else(|line| {
            tracing::warn!("nri: {line}; left to the runtime");
            None
        });
        if !matches!(step, Some(Step::Ask(..))) {
            self.respond(call, Response::success(Bytes::new()));
        }
        step
    }

    fn configure(&mut self, call: u32, told: wire::ConfigureRequest) -> Step {
        self.runtime = call::runtime(told);
        self.configured = true;
        let mask = wire::ConfigureResponse { events: call::mask() };
        self.respond(call, Response::success(mask.encode_to_vec().into()));
        Step::Tell(Event::Connected(self.runtime.clone()))
    }

    fn synchronize(&mut self, call: u32, part: parts::Part, waits: Duration, at: Duration) -> Result<Option<Step>, Cut> {
        let mut parts = match std::mem::replace(&mut self.phase, Phase::Young) {
            Phase::Parts(parts) => parts,
            _ => Parts::begin(at, waits),
        };
        let more = part.more;
        parts.add(part)?;
        if more {
            self.phase = Phase::Parts(parts);
            let again = wire::SynchronizeResponse { more: true, ..wire::SynchronizeResponse::default() };
            self.respond(call, Response::success(again.encode_to_vec().into()));
            return Ok(None);
        }
        let (begun, due) = (parts.begun, parts.due);
        self.phase = Phase::Answering { call, begun, due };
        Ok(Some(parts.ask(call, waits, self.unified)))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
