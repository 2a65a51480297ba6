//! What containers of an enhanced kubelet were promised, on disk: one file a container, and one of the pools.

use crate::error::AgentError;
use gleaner_host::state::{read_text, replace, set_aside};
use gleaner_model::{NumaSet, PodUid, Pool, PoolName};
use gleaner_qrm_plugins::{Ledger, Pools, RECORD_VERSION, Record};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A record takes some 1 KiB; annotations of a pod may have 256 KiB.
const LARGEST: u64 = 4 << 20;

/// The folder of records. It needs no flush to the disk: containers do not outlive the boot, and after one the kubelet asks anew.
pub(crate) struct Claims {
    folder: PathBuf,
    pools: Option<Pools>,
    /// What each file holds, as a digest: a record that did not change is not written again.
    written: BTreeMap<PathBuf, u64>,
    /// What each pod's records say of its CPUs and nodes.
    placed: BTreeMap<PodUid, Placed>,
}

/// The pool that a pod has for itself, the one that it shares, the nodes that it is bound to.
type Placed = (Option<Pool>, Option<PoolName>, Option<NumaSet>);

impl Claims {
    /// The records below a folder, which is made when missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, AgentError> {
        make(&folder.join("pods"))?;
        Ok(Self { folder, pools: None, written: BTreeMap::new(), placed: BTreeMap::new() })
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
        self.save_records(ledger, pod)?;
        self.save_pools(ledger)
    }

    /// Writes what moved since it was written: records of pods that have other CPUs or nodes now, and the pools. Where somebody took the folder
    /// away, everything.
    ///
    /// # Errors
    /// As [`Claims::save`].
    pub(crate) fn save_moved(&mut self, ledger: &Ledger) -> Result<(), AgentError> {
        if !self.folder.join("pods").is_dir() || (self.pools.is_some() && !self.pools_file().exists()) {
            self.written.clear();
            self.placed.clear();
            self.pools = None;
            make(&self.folder.join("pods"))?;
        }
        for pod in ledger.entries().keys() {
            if self.placed.get(pod) != Some(&placed(ledger, pod)) {
                self.save_records(ledger, pod)?;
            }
        }
        self.save_pools(ledger)
    }

    /// Brings a pod's records back to what the ledger says, after a promise that could not be stored as a whole.
    pub(crate) fn take_back(&mut self, ledger: &Ledger, pod: &PodUid) {
        let Some(entry) = ledger.entries().get(pod) else {
            // The first error is the one to tell.
            let _ = self.remove(pod);
            return;
        };
        let records = list(&self.pod_folder(pod)).unwrap_or_default();
        let unknown = |file: &PathBuf| !entry.containers.keys().any(|name| file.file_stem().is_some_and(|stem| stem == name.as_str()));
        for file in records.into_iter().filter(|file| file.extension().is_some_and(|e| e == "json")).filter(unknown) {
            self.written.remove(&file);
            let _ = fs::remove_file(file);
        }
        let _ = self.save(ledger, pod);
    }

    fn save_records(&mut self, ledger: &Ledger, pod: &PodUid) -> Result<(), AgentError> {
        let folder = self.pod_folder(pod);
        for container in ledger.entries().get(pod).into_iter().flat_map(|entry| entry.containers.keys()) {
            let Some(record) = ledger.record(pod, container) else { continue };
            let file = folder.join(format!("{container}.json"));
            let text = text(&file, &record)?;
            let digest = digest(&text);
            if self.written.get(&file) == Some(&digest) && file.exists() {
                continue;
            }
            make(&folder)?;
            replace(&file, &text)?;
            self.written.insert(file, digest);
        }
        self.placed.insert(pod.clone(), placed(ledger, pod));
        Ok(())
    }

    /// Writes the pools if they changed.
    ///
    /// # Errors
    /// As [`Claims::save`].
    pub(crate) fn save_pools(&mut self, ledger: &Ledger) -> Result<(), AgentError> {
        let pools = ledger.pools();
        if self.pools.as_ref() != Some(&pools) {
            let file = self.pools_file();
            replace(&file, &text(&file, &pools)?)?;
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
        self.written.retain(|file, _| !file.starts_with(&folder));
        self.placed.remove(pod);
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
        let mut listed = |folder: &Path| {
            list(folder).unwrap_or_else(|error| {
                warnings.push(format!("read {}: {error}", folder.display()));
                Vec::new()
            })
        };
        let folders = listed(&self.folder.join("pods"));
        let mut files: Vec<PathBuf> = folders.iter().filter(|path| path.is_dir()).flat_map(|path| listed(path)).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files
    }
}

fn make(folder: &Path) -> Result<(), AgentError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| AgentError::io("create", folder, e))
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect())
}

fn placed(ledger: &Ledger, pod: &PodUid) -> Placed {
    let assignment = ledger.assignment();
    let own = assignment.pools.get(&PoolName::dedicated(pod)).cloned();
    (own, assignment.members.get(pod).filter(|pool| !pool.is_dedicated()).cloned(), assignment.nodes.get(pod).cloned())
}

/// What is to be written; what would not be read again is refused.
fn text(file: &Path, value: &impl serde::Serialize) -> Result<Vec<u8>, AgentError> {
    let failed = |cause: String| AgentError::io("write", file, std::io::Error::other(cause));
    let text = serde_json::to_vec(value).map_err(|e| failed(e.to_string()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(failed(format!("a record is at most {} MiB, this one has {} bytes", LARGEST >> 20, text.len())));
    }
    Ok(text)
}

fn digest(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
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
