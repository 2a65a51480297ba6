//! The cluster's pods on disk, so that an agent which starts while nobody can be asked knows the classes of the pods that run.

use super::ApiPod;
use crate::error::AgentError;
use gleaner_host::state::{read_text, replace, set_aside};
use gleaner_model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

const VERSION: u32 = 1;
/// The records of 500 pods take less than 1 MiB.
const LARGEST: u64 = 64 << 20;
/// The least time between two writes.
const APART: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    pods: Vec<ApiPod>,
}

/// As [`Stored`], of pods that belong to somebody else.
#[derive(Serialize)]
struct Storing<'a> {
    version: u32,
    pods: Vec<&'a ApiPod>,
}

/// The pods that an earlier agent was told of last; none where there is no file. A damaged file is set aside, and the text says so.
pub(crate) fn load(file: &Path) -> (Vec<ApiPod>, Option<String>) {
    let text = match read_text(file, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return (Vec::new(), None),
        Err(error) if error.kind() == ErrorKind::InvalidData => return (Vec::new(), Some(useless(file, "is not text"))),
        Err(error) => return (Vec::new(), Some(format!("read {}: {error}", file.display()))),
    };
    match serde_json::from_str::<Stored>(&text) {
        Ok(stored) if stored.version == VERSION => (stored.pods, None),
        Ok(stored) => (Vec::new(), Some(useless(file, &format!("has version {}, not {VERSION}", stored.version)))),
        Err(error) => (Vec::new(), Some(useless(file, &format!("is damaged: {error}")))),
    }
}

fn useless(file: &Path, cause: &str) -> String {
    match set_aside(file) {
        Ok(aside) => format!("{} {cause}; it is now {}", file.display(), aside.display()),
        Err(error) => format!("{} {cause}; {error}", file.display()),
    }
}

/// The file, as it is written.
pub(crate) struct PodsFile {
    file: PathBuf,
    /// Something changed that may not be in the file.
    changed: bool,
    /// The last attempt to write.
    tried: Option<Timestamp>,
    /// Of what the file holds.
    digest: Option<[u8; 32]>,
}

impl PodsFile {
    /// Nothing has been written yet.
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, changed: false, tried: None, digest: None }
    }

    /// A pod is new, another or gone.
    pub(crate) fn change(&mut self) {
        self.changed = true;
    }

    /// Writes the pods if one changed and the last write is long enough ago; to be called at every tick.
    ///
    /// # Errors
    /// When the disk does not take it; the old file is then untouched, and it is tried again.
    pub(crate) fn save<'a>(&mut self, pods: impl IntoIterator<Item = &'a ApiPod>, now: Timestamp) -> Result<(), AgentError> {
        if !is_due(self.changed, self.tried, now) {
            return Ok(());
        }
        self.tried = Some(now);
        let mut pods: Vec<&ApiPod> = pods.into_iter().collect();
        pods.sort_by(|a, b| a.pod.uid.cmp(&b.pod.uid));
        let text = serde_json::to_vec(&Storing { version: VERSION, pods })
            .map_err(|e| AgentError::io("write", &self.file, std::io::Error::other(e)))?;
        let digest: [u8; 32] = Sha256::digest(&text).into();
        if self.digest != Some(digest) {
            // Not made durable: whoever creates a container would wait for the disk, and kubelet runs no pod after a boot that it cannot ask for.
            replace(&self.file, &text)?;
            self.digest = Some(digest);
        }
        self.changed = false;
        Ok(())
    }
}

/// Whether it is time to write.
fn is_due(changed: bool, tried: Option<Timestamp>, now: Timestamp) -> bool {
    changed && tried.is_none_or(|tried| now.since(tried) >= APART)
}

#[cfg(test)]
mod tests;
