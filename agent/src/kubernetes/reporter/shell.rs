//! What the loops have in common.

use super::calls::Wall;
use crate::kubernetes::{NodeReport, ReportSettings};
use gleaner_model::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Called with a part's name and what is wrong with it.
pub(crate) type HealthLine = Arc<dyn Fn(&'static str, Option<String>) + Send + Sync>;

/// What each loop is given.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) node: String,
    pub(super) settings: ReportSettings,
    pub(super) reports: watch::Receiver<Option<Arc<NodeReport>>>,
    pub(super) clock: Clock,
    pub(super) wall: Wall,
}

impl Shared {
    /// The newest report.
    pub(super) fn report(&self) -> Option<Arc<NodeReport>> {
        self.reports.borrow().clone()
    }

    /// Now, for objects.
    pub(super) fn date(&self) -> Time {
        Time((self.wall)())
    }
}

/// The runtime's clock, which tests may stop and turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the beginning.
    pub(super) fn now(self) -> Timestamp {
        Timestamp::since_boot(self.start.elapsed())
    }

    /// Waits until then; for ever, when there is nothing to wait for.
    pub(super) async fn until(self, moment: Option<Timestamp>) {
        match moment.and_then(|moment| self.start.checked_add(moment.elapsed())) {
            Some(instant) => tokio::time::sleep_until(instant).await,
            None => std::future::pending().await,
        }
    }
}

/// One health line, told when it changes.
pub(super) struct Line {
    part: &'static str,
    send: HealthLine,
    told: Option<Option<String>>,
}

impl Line {
    /// Of which nothing was told yet.
    pub(super) fn new(part: &'static str, send: HealthLine) -> Self {
        Self { part, send, told: None }
    }

    /// Says how the part does.
    pub(super) fn set(&mut self, problem: Option<String>) {
        if self.told.as_ref() != Some(&problem) {
            (self.send)(self.part, problem.clone());
            self.told = Some(problem);
        }
    }
}
