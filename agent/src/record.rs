//! Records what the agent saw and decided, tick by tick, and replays it.
//!
//! [`Recording`] is on the side of the event loop: it collects what one tick was made from and what came of it, and hands it over as a value. `writer` is the
//! thread behind it, `codec` and `patch` make lines of ticks, `member` and `files` bring them to disk, `read` reads them, `replay` runs the same code over
//! them again, `score` and `table` judge and show what came of it.

mod codec;
mod files;
#[cfg(test)]
mod fixtures;
mod line;
mod member;
mod patch;
mod read;
mod replay;
mod sampled;
mod score;
mod settings;
mod table;
mod writer;

pub(crate) use codec::{Evicted, Placed, Tick};
pub(crate) use line::{FORMAT, Header, Policies, States};
pub(crate) use replay::{Options, replay};
pub(crate) use settings::RecordSettings;
pub(crate) use table::draw;

use crate::recorder::Recorder;
use gleaner_estimator::{Advice, Estimate, Region};
use gleaner_model::{Assignment, Decision, Snapshot, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use writer::{Job, Writer};

/// The part whose health is told.
pub(crate) const PART: &str = "record";

/// Ticks that wait for the thread at most. One of 500 pods is a few MiB.
const QUEUE: usize = 8;

/// How often a tick is written with all that it builds on, so that a gap or damage costs no more than that.
const WHOLE_EVERY: Duration = Duration::from_secs(300);

/// Questions to the solver that are kept of one tick. A storm of newcomers asks more; the last matter.
const PLACEMENTS: usize = 16;

/// How long a clean stop waits for the disk.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// What is collected for the tick that runs, and the way to the thread.
pub(crate) struct Recording {
    queue: Option<SyncSender<Job>>,
    ended: Receiver<()>,
    /// The thread wants a whole tick next.
    wanted: Arc<AtomicBool>,
    missing: u64,
    whole_at: Option<Timestamp>,
    states: Option<States>,
    assignment: Assignment,
    placements: RefCell<Vec<Placed>>,
    evicted: Option<Evicted>,
    /// Decisions of the recorder that were written.
    decided: u64,
}

impl Recording {
    /// Starts the thread; `tell` is told there how it does. `None` when nothing is to be recorded.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        settings: &RecordSettings,
        header: Header,
        tell: impl FnMut(Option<String>) + Send + 'static,
    ) -> std::io::Result<Option<Self>> {
        let Some(path) = settings.file.clone() else { return Ok(None) };
        let (queue, jobs) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let wanted = Arc::new(AtomicBool::new(true));
        let writer = Writer::new(path, settings, header, wanted.clone(), tell);
        std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            writer.run(&jobs);
            drop(end);
        })?;
        Ok(Some(Self::new(queue, ended, wanted)))
    }

    fn new(queue: SyncSender<Job>, ended: Receiver<()>, wanted: Arc<AtomicBool>) -> Self {
        Self {
            queue: Some(queue),
            ended,
            wanted,
            missing: 0,
            whole_at: None,
            states: None,
            assignment: Assignment::default(),
            placements: RefCell::default(),
            evicted: None,
            decided: 0,
        }
    }

    /// Before the estimate. `states` are copied only now and then.
    pub(crate) fn begin(&mut self, now: Timestamp, assignment: &Assignment, states: impl FnOnce() -> States) {
        let due = self.whole_at.is_none_or(|at| now.since(at) >= WHOLE_EVERY) || self.missing > 0;
        // What was asked for while a tick did not get through is asked for again by the tick that is missing.
        if self.wanted.swap(false, Ordering::Relaxed) || due {
            self.whole_at = Some(now);
            self.states = Some(states());
        }
        self.assignment.clone_from(assignment);
    }

    /// The solver was asked. Only what it answered last is of use, should it be asked too often.
    pub(crate) fn placed(&self, placed: Placed) {
        let mut placements = self.placements.borrow_mut();
        if placements.len() >= PLACEMENTS {
            placements.remove(0);
        }
        placements.push(placed);
    }

    /// It was decided who must go.
    pub(crate) fn evicted(&mut self, evicted: Evicted) {
        self.evicted = Some(evicted);
    }

    /// The tick is over. Of its decisions those that the recorder still keeps are written.
    pub(crate) fn end(
        &mut self,
        snapshot: Snapshot,
        policies: Policies,
        advice: BTreeMap<Region, Advice>,
        estimate: Estimate,
        recorder: &Recorder,
    ) {
        let decided: u64 = recorder.counts().values().sum();
        let new = usize::try_from(decided.saturating_sub(self.decided)).unwrap_or(usize::MAX);
        self.decided = decided;
        let mut decisions: Vec<Decision> = recorder.last().rev().take(new).cloned().collect();
        decisions.reverse();
        let tick = Tick {
            states: self.states.take(),
            policies,
            advice,
            snapshot,
            assignment: std::mem::take(&mut self.assignment),
            estimate,
            placements: std::mem::take(&mut *self.placements.borrow_mut()),
            eviction: self.evicted.take(),
            decisions,
        };
        let job = Job { missing: self.missing, tick: Box::new(tick) };
        match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => self.missing = 0,
            Some(Err(TrySendError::Full(_))) => self.missing = self.missing.saturating_add(1),
            Some(Err(TrySendError::Disconnected(_))) | None => {}
        }
    }

    /// Waits a little for what is not on disk yet.
    pub(crate) fn stop(mut self) {
        self.queue = None;
        if matches!(self.ended.recv_timeout(LAST_WRITE), Err(RecvTimeoutError::Timeout)) {
            tracing::warn!("the end of the recording is not on disk after {} s, and is given up", LAST_WRITE.as_secs());
        }
    }
}

#[cfg(test)]
mod tests;
