//! What was promised, on disk: it outlives the agent. What can be derived is not stored.

use crate::error::AgentError;
use gleaner_host::state::{read_text, replace, set_aside, write_atomically};
use gleaner_model::{Assignment, Bytes, MilliCpu, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
/// The promises of 500 pods take some 100 KiB.
const LARGEST: u64 = 64 << 20;

/// The promises of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promises {
    version: u32,
    /// The machine that they were made on.
    machine: String,
    /// The boot in which `lent` was measured: its moment means nothing in another.
    boot: String,
    /// Which CPUs each pool and pod has.
    pub(crate) assignment: Assignment,
    /// What was lent when this was written.
    pub(crate) lent: Option<Lent>,
}

/// What was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lent {
    /// When.
    pub(crate) at: Timestamp,
    /// CPU.
    pub(crate) cpu: MilliCpu,
    /// Memory.
    pub(crate) memory: Bytes,
}

/// What the file held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// Promises of this machine.
    Promises(Promises),
    /// There is no file: the agent never ran here.
    Nothing,
    /// The file was of no use and was set aside; the text says why and where it is now.
    SetAside(String),
}

/// The file of promises.
pub(crate) struct Store {
    file: PathBuf,
    machine: String,
    boot: String,
    written: Option<Promises>,
    durable: bool,
}

impl Store {
    /// The promises of this machine and boot in a file. Where somebody waits for them to be stored, they are not made durable: what they are for does
    /// not outlive a boot.
    pub(crate) fn new(file: PathBuf, machine: String, boot: String, durable: bool) -> Self {
        Self { file, machine, boot, written: None, durable }
    }

    /// Reads the file; one that is damaged or foreign is set aside.
    ///
    /// # Errors
    /// When a useless file cannot be moved out of the way.
    pub(crate) fn load(&mut self) -> Result<Loaded, AgentError> {
        let text = match read_text(&self.file, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Loaded::Nothing),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return self.useless("is not text"),
            Err(error) => return Err(AgentError::io("read", &self.file, error)),
        };
        match serde_json::from_str::<Promises>(&text) {
            Ok(promises) if promises.version != VERSION => self.useless(&format!("has version {}, not {VERSION}", promises.version)),
            Ok(promises) if promises.machine != self.machine => self.useless("is of another machine"),
            Ok(mut promises) => {
                if promises.boot != self.boot {
                    promises.lent = None;
                }
                self.written = Some(promises.clone());
                Ok(Loaded::Promises(promises))
            }
            Err(error) => self.useless(&format!("is damaged: {error}")),
        }
    }

    fn useless(&self, cause: &str) -> Result<Loaded, AgentError> {
        let aside = set_aside(&self.file)?;
        Ok(Loaded::SetAside(format!("{} {cause}; it is now {}", self.file.display(), aside.display())))
    }

    /// Writes the promises if something changed that a restarted agent must know: the assignment, or what is lent when that is older than a few
    /// seconds.
    ///
    /// # Errors
    /// When the disk does not take it; the old file is then untouched.
    pub(crate) fn save(&mut self, assignment: &Assignment, lent: Option<Lent>) -> Result<(), AgentError> {
        const REFRESH: std::time::Duration = std::time::Duration::from_secs(5);
        if let Some(written) = &self.written {
            let aged = match (written.lent, lent) {
                (Some(old), Some(new)) => new.at.since(old.at) >= REFRESH,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if written.assignment == *assignment && !aged {
                return Ok(());
            }
        }
        let promises =
            Promises { version: VERSION, machine: self.machine.clone(), boot: self.boot.clone(), assignment: assignment.clone(), lent };
        let text = serde_json::to_vec(&promises).map_err(|e| AgentError::io("write", &self.file, std::io::Error::other(e)))?;
        if self.durable { write_atomically(&self.file, &text) } else { replace(&self.file, &text) }?;
        self.written = Some(promises);
        Ok(())
    }
}

/// What tells one machine from another; empty where the machine does not say.
pub(crate) fn machine_id() -> String {
    std::fs::read_to_string(Path::new("/etc/machine-id")).map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_model::{Pool, PoolName};
    use std::io::Write;
    use std::time::Duration;

    fn assignment(cpus: &str) -> Assignment {
        let pool = Pool { cpus: cpus.parse().unwrap(), mems: "0".parse().unwrap() };
        Assignment {
            pools: [(PoolName::share(), pool)].into(),
            members: [("u".parse().unwrap(), PoolName::share())].into(),
            ..Assignment::default()
        }
    }

    fn lent(second: u64) -> Option<Lent> {
        Some(Lent { at: Timestamp::since_boot(Duration::from_secs(second)), cpu: MilliCpu::new(5), memory: Bytes::new(6) })
    }

    fn store(dir: &Path, machine: &str, boot: &str) -> Store {
        Store::new(dir.join("assignment.json"), machine.to_owned(), boot.to_owned(), true)
    }

    #[test]
    fn promises_outlive_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(store(dir.path(), "m", "b").load().unwrap(), Loaded::Nothing);
        store(dir.path(), "m", "b").save(&assignment("0-1"), lent(9)).unwrap();
        let Loaded::Promises(promises) = store(dir.path(), "m", "b").load().unwrap() else { panic!("not loaded") };
        assert_eq!((promises.assignment, promises.lent), (assignment("0-1"), lent(9)));
        let Loaded::Promises(promises) = store(dir.path(), "m", "other boot").load().unwrap() else { panic!("not loaded") };
        assert_eq!((promises.assignment, promises.lent), (assignment("0-1"), None), "moments of another boot mean nothing");
    }

    #[test]
    fn a_useless_file_is_set_aside_and_said() {
        for (content, part) in [
            ("{\"version\":1,\"mach", "is damaged"),
            ("", "is damaged"),
            (
                "{\"version\":7,\"machine\":\"m\",\"boot\":\"b\",\"assignment\":{\"pools\":{},\"members\":{}},\"lent\":null}",
                "has version 7",
            ),
            (
                "{\"version\":1,\"machine\":\"x\",\"boot\":\"b\",\"assignment\":{\"pools\":{},\"members\":{}},\"lent\":null}",
                "of another machine",
            ),
            (
                "{\"version\":1,\"machine\":\"m\",\"boot\":\"b\",\"assignment\":{\"pools\":{\"share\":{\"cpus\":\"9-0\",\"mems\":\"\"}},\"members\":{}},\"lent\":null}",
                "is damaged",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::File::create(dir.path().join("assignment.json")).unwrap().write_all(content.as_bytes()).unwrap();
            let loaded = store(dir.path(), "m", "b").load().unwrap();
            let Loaded::SetAside(text) = &loaded else { panic!("{content:?} gave {loaded:?}") };
            assert!(text.contains(part), "{content:?}: {text:?} lacks {part:?}");
            assert_eq!(store(dir.path(), "m", "b").load().unwrap(), Loaded::Nothing);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "the old file is kept");
        }
    }

    #[test]
    fn an_unchanged_promise_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = store(dir.path(), "m", "b");
        one.save(&assignment("0"), lent(10)).unwrap();
        std::fs::remove_file(dir.path().join("assignment.json")).unwrap();
        one.save(&assignment("0"), lent(12)).unwrap();
        assert!(!dir.path().join("assignment.json").exists(), "nothing changed");
        one.save(&assignment("0"), lent(15)).unwrap();
        assert!(dir.path().join("assignment.json").exists(), "what is lent is fresh enough to go on from");
    }
}
