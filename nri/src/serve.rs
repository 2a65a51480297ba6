//! Keeps one connection to the runtime, for ever anew.

mod backoff;
mod connection;
mod dial;

use crate::event::Event;
use backoff::{Backoff, LONGEST};
use connection::{Connection, End};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// How to reach the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its socket for plugins: `/var/run/nri/nri.sock`.
    pub socket: PathBuf,
    /// Our place in the order of plugins, two digits.
    pub index: String,
    /// Whether the node has cgroup v2: whether files of it may be part of an answer.
    pub unified: bool,
}

/// After so many connections in a row that the runtime ends when it is to tell what exists, it is no accident.
const IN_A_ROW: u32 = 3;
/// A connection that was whole for this long was a good one: after it the waiting begins anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Serves the runtime as a plugin of it until the receiver of the events is gone. One connection at a time: an old one is closed before another is made,
/// since two of us would both get every event and stand in each other's way.
///
/// When the runtime is not there or goes, it is dialled again after 200 ms, then ever more seldom, at least each 30 s. [`Event::Lost`] tells why it is not there,
/// [`Event::Connected`] and then [`Event::Synchronize`] that it is.
///
/// Must be called inside a tokio runtime with time and I/O.
pub async fn serve<E: From<Event> + Send + 'static>(settings: Settings, events: mpsc::Sender<E>) {
    let mut keeper = Keeper { backoff: Backoff::new(&settings.index), cut_off: 0, told: None };
    loop {
        let end = match dial::dial(&settings.socket).await {
            Ok(stream) => Connection::new(stream, &settings).run(&events).await,
            Err(cause) => End::before(cause.in_one_line()),
        };
        let Some((lost, pause)) = keeper.after(end) else { return };
        if let Some(text) = lost
            && events.send(E::from(Event::Lost(text))).await.is_err()
        {
            return;
        }
        if !unless_closed(&events, sleep(pause)).await {
            return;
        }
    }
}

/// Waits for something; false: nobody takes events any more.
async fn unless_closed<E>(events: &mpsc::Sender<E>, something: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = events.closed() => false,
        () = something => true,
    }
}

/// What is remembered from one connection to the next.
#[derive(Debug)]
struct Keeper {
    backoff: Backoff,
    /// Connections in a row that the runtime ended when it was to tell what exists.
    cut_off: u32,
    /// The last cause that was told, unless the runtime was there since.
    told: Option<String>,
}

impl Keeper {
    /// What is to be told after a connection, if it is new, and how long to wait; `None`: nobody takes events any more.
    fn after(&mut self, end: End) -> Option<(Option<String>, Duration)> {
        let End::Lost { cause, was_told, is_cut_off, good_for } = end else { return None };
        if good_for.is_some_and(|time| time >= GOOD_AFTER) {
            self.backoff.begin_anew();
        }
        self.cut_off = if is_cut_off { self.cut_off.saturating_add(1) } else { 0 };
        let next = self.backoff.next();
        let (cause, pause) = if self.cut_off < IN_A_ROW { (cause, next) } else { (self.defect(&cause), LONGEST) };
        // The count in a cause is new each time, and nothing that anybody has to be told again.
        let is_new = was_told || self.told.is_none() || (self.told.as_ref() != Some(&cause) && self.cut_off <= IN_A_ROW);
        self.told = Some(cause.clone());
        Some((is_new.then_some(cause), pause))
    }

    fn defect(&self, cause: &str) -> String {
        format!(
            "the runtime ended the connection {} times in a row when it was to tell what exists ({cause}); some cannot tell of more than 4 MiB when \
             there are few pods. It is asked again each {} s; until then containers are changed after they were created",
            self.cut_off,
            LONGEST.as_secs()
        )
    }
}

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;
