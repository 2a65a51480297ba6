//! One connection: the socket around a [`Session`].

use super::Settings;
use crate::event::Event;
use crate::session::{Cut, Reply, Session, Step};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Questions that wait for their answers at once. The runtime asks one after the other; above this nothing is read until some are answered, which
/// takes two seconds at most.
const QUESTIONS: usize = 64;
/// Events that nobody took yet. The runtime is not made to wait, so they would grow without end.
const EVENTS: usize = 256;
/// Bytes that the runtime did not take yet, above which nothing is read that could add to them.
const UNSENT: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody takes events any more.
    Unwanted,
    /// It is lost, or was never there.
    Lost {
        /// Why.
        cause: String,
        /// Whether [`Event::Connected`] was told.
        was_told: bool,
        /// Whether the runtime ended it when it was to tell what exists.
        is_cut_off: bool,
        /// How long events could come; `None`: they could not.
        good_for: Option<Duration>,
    },
}

impl End {
    /// It could not be made.
    pub(super) const fn before(cause: String) -> Self {
        Self::Lost { cause, was_told: false, is_cut_off: false, good_for: None }
    }
}

/// Why it ends.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("nobody takes events any more")]
    Unwanted,
    #[error("the runtime closed the connection")]
    Closed,
    #[error("the connection to the runtime failed: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Cut(#[from] Cut),
    #[error("the agent did not take what the runtime told: {EVENTS} events wait")]
    Stuck,
}

/// What happens next.
enum Next {
    Sent(io::Result<usize>),
    Answered(Result<Reply, JoinError>),
    Received(io::Result<usize>),
    Due,
    Unwanted,
}

pub(super) struct Connection {
    begun: Instant,
    stream: UnixStream,
    talk: Talk,
}

/// All of a connection but its socket.
struct Talk {
    session: Session,
    /// Events in their order, for the one who decides.
    events: VecDeque<Event>,
    /// Answers that are awaited. They end with the connection.
    questions: JoinSet<Reply>,
    was_told: bool,
    settled: Option<Duration>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, settings: &Settings) -> Self {
        let session = Session::new(&settings.index, settings.unified);
        let talk = Talk { session, events: VecDeque::new(), questions: JoinSet::new(), was_told: false, settled: None };
        Self { begun: Instant::now(), stream, talk }
    }

    /// Serves until it ends; the socket is closed then.
    pub(super) async fn run<E: From<Event> + Send + 'static>(self, events: &mpsc::Sender<E>) -> End {
        let Self { begun, stream, mut talk } = self;
        let over = talk.go_on(begun, stream, events).await;
        if matches!(over, Over::Unwanted) {
            return End::Unwanted;
        }
        let cause = over.to_string();
        tracing::debug!("nri: {cause}");
        let good_for = talk.settled.map(|settled| begun.elapsed().saturating_sub(settled));
        let is_cut_off = matches!(over, Over::Closed | Over::Io(_)) && talk.was_told && talk.settled.is_none();
        End::Lost { cause, was_told: talk.was_told, is_cut_off, good_for }
    }
}

impl Talk {
    async fn go_on<E: From<Event>>(&mut self, begun: Instant, stream: UnixStream, events: &mpsc::Sender<E>) -> Over {
        let (mut reader, mut writer) = stream.into_split();
        let mut chunk = vec![0; CHUNK];
        loop {
            let due = self.session.due();
            // What is here already goes first: answers before new questions, events in their order.
            let next = tokio::select! {
                biased;
                sent = writer.write(self.session.output()), if !self.session.output().is_empty() => Next::Sent(sent),
                Some(reply) = self.questions.join_next() => Next::Answered(reply),
                permit = events.reserve(), if !self.events.is_empty() => match (permit, self.events.pop_front()) {
                    (Ok(permit), Some(event)) => {
                        permit.send(E::from(event));
                        continue;
                    }
                    _ => Next::Unwanted,
                },
                () = events.closed(), if self.events.is_empty() => Next::Unwanted,
                () = sleep_until(begun + due.unwrap_or_default()), if due.is_some() => Next::Due,
                received = reader.read(&mut chunk), if self.may_read() => Next::Received(received),
            };
            if let Err(over) = self.take(next, &chunk, begun.elapsed()) {
                return over;
            }
            if self.settled.is_none() && self.session.is_settled() {
                self.settled = Some(begun.elapsed());
            }
        }
    }

    fn may_read(&self) -> bool {
        self.questions.len() < QUESTIONS && self.session.unsent() < UNSENT
    }

    fn take(&mut self, next: Next, chunk: &[u8], at: Duration) -> Result<(), Over> {
        match next {
            Next::Unwanted => return Err(Over::Unwanted),
            Next::Sent(count) => self.session.sent(count?, at)?,
            Next::Answered(Ok(reply)) => self.session.answer(reply),
            // Answers are awaited by code that neither panics nor is stopped before its connection.
            Next::Answered(Err(e)) => tracing::error!("nri: an answer is lost: {e}"),
            Next::Due => self.session.check(at)?,
            Next::Received(count) => {
                let bytes = chunk.get(..count?).filter(|bytes| !bytes.is_empty()).ok_or(Over::Closed)?;
                for step in self.session.receive(bytes, at)? {
                    self.follow(step);
                }
            }
        }
        if self.events.len() > EVENTS { Err(Over::Stuck) } else { Ok(()) }
    }

    fn follow(&mut self, step: Step) {
        let event = match step {
            Step::Tell(event) => event,
            Step::Ask(event, question) => {
                self.questions.spawn(question.wait());
                event
            }
        };
        self.was_told |= matches!(event, Event::Connected(_));
        self.events.push_back(event);
    }
}
