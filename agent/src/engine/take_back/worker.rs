//! Asks the kernel for memory beside the event loop: an answer takes as long as the kernel needs to look at that much memory.

use crate::engine::Event;
use crate::error::AgentError;
use gleaner_host::HostError;
use gleaner_host::cgroup::Layout;
use gleaner_host::reclaim::{self, Reclaimed};
use gleaner_model::{Bytes, CgroupPath, PodName, PodUid, TakeBackOutcome};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::mpsc;

/// Requests that wait at most. More than are ever under way.
const QUEUE: usize = 16;

/// What one pod is asked for.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) pod: PodUid,
    pub(super) name: PodName,
    pub(super) cgroup: CgroupPath,
    /// What it may hold.
    pub(super) allowed: Bytes,
    /// What is asked for in each write.
    pub(super) chunks: Vec<Bytes>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenBack {
    pub(super) pod: PodUid,
    pub(super) name: PodName,
    pub(super) allowed: Bytes,
    pub(super) asked: Bytes,
    /// What the pod held before; `None` when that could not be read.
    pub(super) before: Option<Bytes>,
    pub(super) after: Option<Bytes>,
    pub(super) outcome: TakeBackOutcome,
}

/// The thread that asks. Nobody waits for its end: it ends when nobody listens any more, at the latest after the write that it is at.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: SyncSender<Job>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the thread; what comes of each job goes to `events`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(layout: Layout, events: mpsc::Sender<Event>) -> Result<Self, AgentError> {
        let (jobs, waiting) = sync_channel(QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("take-back".to_owned())
            .spawn(move || work(&layout, &waiting, &events, &stopped))
            .map_err(|e| AgentError::io("start", Path::new("the thread that takes memory back"), e))?;
        Ok(Self { jobs, stop })
    }

    /// Whether the job is taken; it is not when too many wait.
    pub(super) fn take(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// Nothing more is asked for, whatever waits.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn work(layout: &Layout, waiting: &Receiver<Job>, events: &mpsc::Sender<Event>, stop: &AtomicBool) {
    while let Ok(job) = waiting.recv() {
        let done = carry_out(layout, &job, || stop.load(Ordering::Relaxed));
        if events.blocking_send(Event::MemoryTakenBack(Box::new(done))).is_err() {
            return;
        }
    }
}

/// Asks for one chunk after another, but for no more than the pod holds too much by now.
pub(super) fn carry_out(layout: &Layout, job: &Job, stopped: impl Fn() -> bool) -> TakenBack {
    let mut done = TakenBack {
        pod: job.pod.clone(),
        name: job.name.clone(),
        allowed: job.allowed,
        asked: Bytes::ZERO,
        before: None,
        after: None,
        outcome: TakeBackOutcome::Done,
    };
    match reclaim::usage(layout, &job.cgroup) {
        Ok(Some(before)) => done.before = Some(before),
        Ok(None) => done.outcome = TakeBackOutcome::NotOffered,
        Err(error) => done.outcome = failed(&error),
    }
    let mut left = done.before.unwrap_or_default().minus(job.allowed);
    for chunk in &job.chunks {
        let bytes = left.min(*chunk);
        if bytes.is_zero() || stopped() {
            break;
        }
        (left, done.asked) = (left.minus(bytes), done.asked.plus(bytes));
        done.outcome = match reclaim::reclaim(layout, &job.cgroup, bytes) {
            Ok(Reclaimed::Done) => continue,
            Ok(Reclaimed::Partly) => TakeBackOutcome::Partly,
            Ok(Reclaimed::NotOffered) => TakeBackOutcome::NotOffered,
            Err(error) => failed(&error),
        };
        break;
    }
    done.after = reclaim::usage(layout, &job.cgroup).ok().flatten();
    done
}

fn failed(error: &HostError) -> TakeBackOutcome {
    if error.is_gone() { TakeBackOutcome::Gone } else { TakeBackOutcome::Failed(error.to_string()) }
}
