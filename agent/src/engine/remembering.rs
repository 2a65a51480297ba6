//! Histories outlive the agent: read at the start, written now and then by a thread of their own, and at the end.

use super::Engine;
use crate::error::AgentError;
use crate::histories::{self, HistoryFile};
use crate::store::machine_id;
use gleaner_host::clock;
use gleaner_model::Timestamp;
use std::thread::JoinHandle;

/// The part whose health tells of the file.
const PART: &str = "histories";

/// The file, and who writes it just now.
pub(super) struct Remembering {
    file: HistoryFile,
    writer: Option<JoinHandle<Result<(), AgentError>>>,
}

impl Remembering {
    pub(super) fn new(file: HistoryFile) -> Self {
        Self { file, writer: None }
    }
}

impl Engine {
    /// Goes on from what an earlier agent remembered.
    pub(super) fn remember(&mut self, now: Timestamp) {
        let (histories, problem) = histories::load(&self.config.histories(), &machine_id(), now, clock::wall());
        if let Some(problem) = &problem {
            tracing::warn!("{problem}");
        }
        self.note(PART, problem, now);
        self.estimator = std::mem::take(&mut self.estimator).remembering(histories);
    }

    /// Has the file written when it is time. The loop only copies; text and disk are the thread's.
    pub(super) fn write_histories(&mut self, now: Timestamp) {
        if self.remembering.writer.as_ref().is_some_and(|writer| !writer.is_finished()) {
            return;
        }
        if let Some(writer) = self.remembering.writer.take() {
            let problem = outcome(writer);
            if problem.is_some() {
                self.remembering.file.failed();
            }
            self.note(PART, problem, now);
        }
        if let Some(writing) = self.remembering.file.due(self.estimator.histories(), now, clock::wall()) {
            let started = std::thread::Builder::new().name("histories".to_owned()).spawn(move || writing.write());
            match started {
                Ok(writer) => self.remembering.writer = Some(writer),
                Err(error) => {
                    self.remembering.file.failed();
                    self.note(PART, Some(format!("start a thread: {error}")), now);
                }
            }
        }
    }

    /// Writes the file a last time.
    pub(super) fn write_histories_at_end(&mut self) {
        if let Some(writer) = self.remembering.writer.take() {
            let _ = outcome(writer);
        }
        let now = clock::now();
        if let Some(writing) = self.remembering.file.last(self.estimator.histories(), now, clock::wall())
            && let Err(error) = writing.write()
        {
            tracing::warn!("{error}");
        }
    }
}

fn outcome(writer: JoinHandle<Result<(), AgentError>>) -> Option<String> {
    match writer.join() {
        Ok(written) => written.err().map(|error| error.to_string()),
        Err(_) => Some("the thread that writes it panicked".to_owned()),
    }
}
