//! The manifests that were right, on disk, so that a slip in one does not end its pod at the next start of the agent either.

use super::{Wanted, parse_document};
use crate::error::AgentError;
use gleaner_host::state::{read_text, write_atomically};
use gleaner_model::QosConfig;
use std::collections::BTreeMap;
use std::path::Path;

/// All manifests together; each is at most 3 MiB, and a folder holds a node's pods.
const LARGEST: u64 = 256 << 20;

/// Writes the manifests of these pods, by source.
///
/// # Errors
/// When the disk does not take it; the old file is then untouched.
pub(crate) fn save_last_good(file: &Path, wanted: &Wanted) -> Result<(), AgentError> {
    let texts: BTreeMap<&str, &str> = wanted.iter().map(|(source, spec)| (source.as_str(), spec.text.as_str())).collect();
    let bytes = serde_json::to_vec(&texts).map_err(|e| AgentError::io("write", file, e.into()))?;
    Ok(write_atomically(file, &bytes)?)
}

/// The pods of the manifests that were right when an earlier agent last looked; none where the file is missing or damaged, since it only bridges
/// a slip.
pub(crate) fn load_last_good(file: &Path, config: &QosConfig) -> Wanted {
    let text = read_text(file, LARGEST).unwrap_or_default();
    let texts: BTreeMap<String, String> = serde_json::from_str(&text).unwrap_or_default();
    texts.into_iter().filter_map(|(source, text)| Some((source.clone(), parse_document(source, &text, config).pod.ok()?))).collect()
}
