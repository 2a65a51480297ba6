//! Events: what people see with `kubectl describe`. Told at best effort: nothing waits for them, and they are dropped before they are a load.

mod bucket;
mod correlator;
mod deliver;
mod object;
mod reason;

pub(crate) use reason::{EventReason, event_of, event_of_outcome};

use super::{Clock, EventNote};
use correlator::{Correlator, Write};
use deliver::{Delivered, deliver};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Notes that wait to be written.
const WAITING: usize = 256;

/// What became of the notes so far. Each note is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct EventCounts {
    /// Written as a new object.
    pub(crate) created: u64,
    /// Written as one more of a series.
    pub(crate) repeated: u64,
    /// Not written: too much was told already.
    pub(crate) limited: u64,
    /// Dropped, since too many waited.
    pub(crate) overflowed: u64,
    /// Refused by the API server, or not possible in a few tries.
    pub(crate) failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    created: AtomicU64,
    repeated: AtomicU64,
    limited: AtomicU64,
    overflowed: AtomicU64,
    failed: AtomicU64,
}

/// Hands notes to the task. It ends when the last of these is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    to: mpsc::Sender<EventNote>,
    counters: Arc<Counters>,
}

impl Events {
    /// Tells it. Never waits: when too many wait already, this one is dropped and counted.
    pub(crate) fn tell(&self, note: EventNote) {
        if self.to.try_send(note).is_err() {
            self.counters.overflowed.fetch_add(1, Relaxed);
        }
    }

    /// What became of the notes so far.
    pub(crate) fn counts(&self) -> EventCounts {
        let Counters { created, repeated, limited, overflowed, failed } = self.counters.as_ref();
        EventCounts {
            created: created.load(Relaxed),
            repeated: repeated.load(Relaxed),
            limited: limited.load(Relaxed),
            overflowed: overflowed.load(Relaxed),
            failed: failed.load(Relaxed),
        }
    }

    /// Starts the task. `date` is what people call now ([`jiff::Timestamp::now`]). `health` gets why Events cannot be written, when that changes. See
    /// [`super::ask`] for what the client must not do.
    pub(crate) fn start(
        client: Client,
        node: &str,
        date: fn() -> jiff::Timestamp,
        health: impl FnMut(Option<String>) + Send + 'static,
    ) -> Self {
        let (to, notes) = mpsc::channel(WAITING);
        let counters = Arc::new(Counters::default());
        tokio::spawn(run(client, node.to_owned(), date, notes, Arc::clone(&counters), health));
        Self { to, counters }
    }
}

async fn run(
    client: Client,
    node: String,
    date: fn() -> jiff::Timestamp,
    mut notes: mpsc::Receiver<EventNote>,
    counters: Arc<Counters>,
    mut health: impl FnMut(Option<String>),
) {
    let clock = Clock::start();
    let mut correlator = Correlator::new(&node);
    let (mut writes, mut well) = (0u64, true);
    while let Some(note) = notes.recv().await {
        let Some((key, write)) = correlator.take(note, clock.now(), &MicroTime(date())) else {
            counters.limited.fetch_add(1, Relaxed);
            continue;
        };
        writes = writes.wrapping_add(1);
        let delivered = deliver(&client, &write, &node, writes).await;
        match (&delivered, &write) {
            (Delivered::Written, Write::Create(_)) => counters.created.fetch_add(1, Relaxed),
            (Delivered::Written, Write::Series(_)) => counters.repeated.fetch_add(1, Relaxed),
            (Delivered::Moot | Delivered::Failed(_), _) => counters.failed.fetch_add(1, Relaxed),
        };
        if delivered != Delivered::Written {
            correlator.forget(&key);
        }
        let problem = if let Delivered::Failed(cause) = delivered { Some(cause) } else { None };
        if well != problem.is_none() {
            well = problem.is_none();
            health(problem);
        }
    }
}

#[cfg(test)]
mod tests;
