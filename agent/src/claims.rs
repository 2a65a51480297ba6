//! What containers of an enhanced kubelet were promised, on disk: one file a container, and one of the pools.

use crate::error::AgentError;
use gleaner_host::state::{read_text, replace, set_aside};
use gleaner_model::PodUid;
use gleaner_qrm_plugins::{Ledger, Pools, RECORD_VERSION, Record};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A record takes some 1 KiB; annotations of a pod may have 256 KiB.
const LARGEST: u64 = 4 << 20;

/// The folder of records. It needs no flush to the disk: containers do not outlive the boot, and after one the kubelet asks anew.
pub(crate) struct Claims {
    folder: PathBuf,
    pools: Option<Pools>,
}

impl Claims {
    /// The records below a folder, which is made when missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, AgentError> {
        make(&folder.join("pods"))?;
        Ok(Self { folder, pools: None })
    }

    /// Everything that was promised. What is damaged, foreign or cannot be read is set aside with a word; the kubelet asks for it again.
    pub(crate) fn load(&mut self) -> (Ledger, Vec<String>) {
        let mut warnings = Vec::new();
        let mut records = Vec::new();
        for file in self.files(&mut warnings) {
            match read_record(&file) {
                Ok(record) => records.push(record),
                Err(cause) => warnings.push(aside(&file, &cause)),
            }
        }
        let file = self.pools_file();
        self.pools = match read::<Pools>(&file).and_then(|pools| version(pools.version).map(|()| pools)) {
            Ok(pools) => Some(pools),
            Err(_) if !file.exists() => None,
            Err(cause) => {
                warnings.push(aside(&file, &cause));
                None
            }
        };
        let (ledger, contradictions) = Ledger::restore(records, self.pools.clone());
        warnings.extend(contradictions);
        (ledger, warnings)
    }

    /// Writes what one pod's containers were promised, then the pools if they changed.
    ///
    /// # Errors
    /// When the disk does not take it; what it held before is then still there.
    pub(crate) fn save(&mut self, ledger: &Ledger, pod: &PodUid) -> Result<(), AgentError> {
        let folder = self.pod_folder(pod);
        make(&folder)?;
        for container in ledger.entries().get(pod).into_iter().flat_map(|entry| entry.containers.keys()) {
            if let Some(record) = ledger.record(pod, container) {
                write(&folder.join(format!("{container}.json")), &record)?;
            }
        }
        self.save_pools(ledger)
    }

    /// Writes the pools if they changed.
    ///
    /// # Errors
    /// As [`Claims::save`].
    pub(crate) fn save_pools(&mut self, ledger: &Ledger) -> Result<(), AgentError> {
        let pools = ledger.pools();
        if self.pools.as_ref() != Some(&pools) {
            write(&self.pools_file(), &pools)?;
            self.pools = Some(pools);
        }
        Ok(())
    }

    /// Forgets a pod.
    ///
    /// # Errors
    /// When its records cannot be removed.
    pub(crate) fn remove(&mut self, pod: &PodUid) -> Result<(), AgentError> {
        let folder = self.pod_folder(pod);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(AgentError::io("remove", &folder, error)),
            _ => Ok(()),
        }
    }

    fn pod_folder(&self, pod: &PodUid) -> PathBuf {
        // A uid cannot lead out of a folder; its type sees to that.
        self.folder.join("pods").join(pod.as_str())
    }

    fn pools_file(&self) -> PathBuf {
        self.folder.join("pools.json")
    }

    /// The files of records, sorted.
    fn files(&self, warnings: &mut Vec<String>) -> Vec<PathBuf> {
        let mut list = |folder: &Path| -> Vec<PathBuf> {
            match fs::read_dir(folder) {
                Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
                Err(error) => {
                    warnings.push(format!("read {}: {error}", folder.display()));
                    Vec::new()
                }
            }
        };
        let folders = list(&self.folder.join("pods"));
        let mut files: Vec<PathBuf> = folders.iter().filter(|path| path.is_dir()).flat_map(|path| list(path)).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files
    }
}

fn make(folder: &Path) -> Result<(), AgentError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| AgentError::io("create", folder, e))
}

fn write(file: &Path, value: &impl serde::Serialize) -> Result<(), AgentError> {
    let text = serde_json::to_vec(value).map_err(|e| AgentError::io("write", file, std::io::Error::other(e)))?;
    Ok(replace(file, &text)?)
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, String> {
    let text = read_text(file, LARGEST).map_err(|e| e.to_string())?;
    serde_json::from_str(&text).map_err(|e| format!("is damaged: {e}"))
}

fn version(found: u32) -> Result<(), String> {
    if found == RECORD_VERSION { Ok(()) } else { Err(format!("has version {found}, not {RECORD_VERSION}")) }
}

fn read_record(file: &Path) -> Result<Record, String> {
    let record: Record = read(file)?;
    version(record.version)?;
    let folder = file.parent().and_then(Path::file_name);
    let own_name = file.file_stem().is_some_and(|stem| stem == record.container.as_str());
    if own_name && folder.is_some_and(|folder| folder == record.pod.uid.as_str()) {
        Ok(record)
    } else {
        Err(format!("is of container {} of pod {}", record.container, record.pod.uid))
    }
}

fn aside(file: &Path, cause: &str) -> String {
    match set_aside(file) {
        Ok(to) => format!("{} {cause}; it is now {}", file.display(), to.display()),
        Err(_) => format!("{} {cause}", file.display()),
    }
}

#[cfg(test)]
mod tests;
