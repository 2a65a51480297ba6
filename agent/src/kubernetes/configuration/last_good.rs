//! The object in force, on disk: after a restart it counts again before the API server was asked, and while it cannot be.

use super::{Chosen, Source};
use crate::error::AgentError;
use gleaner_host::state::{read_text, set_aside, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::ErrorKind;
use std::path::PathBuf;

const VERSION: u32 = 1;
/// An object has at most 64 KiB; escapes may double it.
const LARGEST: u64 = 1 << 20;

/// What is stored: the object rather than what it was merged to, since the file may change while the agent is down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u32,
    /// The node it was for: labels and names choose it.
    node: String,
    in_force: Option<InForce>,
}

/// The object in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InForce {
    pub(super) source: Source,
    pub(super) hash: String,
    pub(super) named: Option<String>,
    pub(super) why: String,
    pub(super) content: Map<String, Value>,
}

impl InForce {
    pub(super) fn new(chosen: Chosen) -> Self {
        let Chosen { source, hash, named, why, hold: _, content } = chosen;
        Self { source, hash, named, why, content }
    }

    pub(super) fn chosen(&self) -> Chosen {
        let Self { source, hash, named, why, content } = self.clone();
        Chosen { source, hash, named, why, hold: None, content }
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct LastGood {
    file: PathBuf,
    node: String,
}

impl LastGood {
    pub(super) fn new(file: PathBuf, node: String) -> Self {
        Self { file, node }
    }

    /// What was in force, and a line on a file that was of no use and is out of the way now.
    pub(super) fn load(&self) -> (Option<InForce>, Option<String>) {
        let stored = match read_text(&self.file, LARGEST) {
            Ok(text) => serde_json::from_str::<Stored>(&text).map_err(|error| format!("is damaged: {error}")),
            Err(error) if error.kind() == ErrorKind::NotFound => return (None, None),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        match stored {
            Ok(stored) if stored.version != VERSION => self.useless(&format!("has version {}, not {VERSION}", stored.version)),
            Ok(stored) if stored.node != self.node => self.useless(&format!("is of node {:?}", stored.node)),
            Ok(stored) => (stored.in_force, None),
            Err(cause) => self.useless(&cause),
        }
    }

    fn useless(&self, cause: &str) -> (Option<InForce>, Option<String>) {
        let file = self.file.display();
        let line = match set_aside(&self.file) {
            Ok(aside) => format!("{file} {cause}; it is now {}", aside.display()),
            Err(error) => format!("{file} {cause}; {error}"),
        };
        (None, Some(line))
    }

    /// # Errors
    /// When the disk does not take it; the old file is then untouched.
    pub(super) fn save(&self, in_force: Option<&InForce>) -> Result<(), AgentError> {
        let stored = Stored { version: VERSION, node: self.node.clone(), in_force: in_force.cloned() };
        let bytes = serde_json::to_vec(&stored).map_err(|error| AgentError::io("write", &self.file, error.into()))?;
        Ok(write_atomically(&self.file, &bytes)?)
    }
}
