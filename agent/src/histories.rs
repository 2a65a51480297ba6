//! What is remembered of regions and workloads, on disk: it outlives the agent and the boot.

use crate::error::AgentError;
use gleaner_estimator::{Checkpoint, Histories};
use gleaner_host::state::{read_text, set_aside, write_atomically};
use gleaner_model::{Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A thousand containers of workloads take some 2 MiB.
const LARGEST: u64 = 64 << 20;
/// The time between two writes. What was measured since the last one is lost with the agent.
const APART: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The machine whose pods these are.
    machine: String,
    checkpoint: Checkpoint,
}

/// What an earlier agent remembered, as of now; nothing where there is no file. One that is damaged or of another machine is set aside, and the text says so.
pub(crate) fn load(file: &Path, machine: &str, at: Timestamp, wall: Option<WallTime>) -> (Histories, Option<String>) {
    let text = match read_text(file, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return (Histories::default(), None),
        Err(error) if error.kind() == ErrorKind::InvalidData => return useless(file, "is not text"),
        Err(error) => return (Histories::default(), Some(format!("read {}: {error}", file.display()))),
    };
    match serde_json::from_str::<Stored>(&text) {
        Ok(Stored { checkpoint, .. }) if checkpoint.version != Checkpoint::VERSION => {
            useless(file, &format!("has version {}, not {}", checkpoint.version, Checkpoint::VERSION))
        }
        Ok(stored) if stored.machine != machine => useless(file, "is of another machine"),
        Ok(stored) => (Histories::restore(stored.checkpoint, at, wall), None),
        Err(error) => useless(file, &format!("is damaged: {error}")),
    }
}

fn useless(file: &Path, cause: &str) -> (Histories, Option<String>) {
    let line = match set_aside(file) {
        Ok(aside) => format!("{} {cause}; it is now {}", file.display(), aside.display()),
        Err(error) => format!("{} {cause}; {error}", file.display()),
    };
    (Histories::default(), Some(line))
}

/// When the file is to be written.
pub(crate) struct HistoryFile {
    file: PathBuf,
    machine: String,
    /// The last attempt to write.
    tried: Timestamp,
    /// The last addition that it was to hold.
    held: Option<Timestamp>,
}

impl HistoryFile {
    /// The file of this machine. It is written first when it is `now` and the time between two writes later.
    pub(crate) fn new(file: PathBuf, machine: String, now: Timestamp) -> Self {
        Self { file, machine, tried: now, held: None }
    }

    /// What is to be written, if the last write is long enough ago and something was added; to be called at every tick.
    pub(crate) fn due(&mut self, histories: &Histories, at: Timestamp, wall: Option<WallTime>) -> Option<Writing> {
        if at.since(self.tried) < APART {
            return None;
        }
        self.tried = at;
        self.last(histories, at, wall)
    }

    /// What is to be written before the agent ends, if something was added.
    pub(crate) fn last(&mut self, histories: &Histories, at: Timestamp, wall: Option<WallTime>) -> Option<Writing> {
        let newest = histories.last_seen();
        if newest == self.held {
            return None;
        }
        self.held = newest;
        let stored = Stored { machine: self.machine.clone(), checkpoint: histories.save(at, wall) };
        Some(Writing { file: self.file.clone(), stored })
    }

    /// A write failed: what is remembered is to be written even if nothing is added to it.
    pub(crate) fn failed(&mut self) {
        self.held = None;
    }
}

/// Histories on their way to the disk. The loop only copies them; to turn them into text and wait for the disk is for a thread that may block.
pub(crate) struct Writing {
    file: PathBuf,
    stored: Stored,
}

impl Writing {
    /// Writes the file.
    ///
    /// # Errors
    /// When the disk does not take it; the old file is then untouched.
    pub(crate) fn write(&self) -> Result<(), AgentError> {
        let text = serde_json::to_vec(&self.stored).map_err(|e| AgentError::io("write", &self.file, std::io::Error::other(e)))?;
        Ok(write_atomically(&self.file, &text)?)
    }
}

#[cfg(test)]
mod tests;
