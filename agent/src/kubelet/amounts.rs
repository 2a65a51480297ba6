//! Amounts as kubelet's configuration has them.

use super::config::{MemoryThreshold, Reserved};
use gleaner_model::{Bytes, Permille};
use std::collections::BTreeMap;

/// What is reserved, of a map such as `{cpu: 100m, memory: 1Gi}`; other resources are of no interest here.
///
/// # Errors
/// The key and what is wrong with its value.
pub(super) fn reserved(key: &str, map: &BTreeMap<String, String>) -> Result<Reserved, String> {
    Ok(Reserved { cpu: amount(key, map, "cpu")?, memory: amount(key, map, "memory")? })
}

fn amount<T: std::str::FromStr>(key: &str, map: &BTreeMap<String, String>, resource: &str) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    let text = map.get(resource).map(|text| text.parse().map_err(|error| format!("{key}.{resource}: {error}")));
    text.transpose()
}

/// The threshold `memory.available` of hard evictions. Kubelet's own default holds when none is configured at all; with any other configured, none
/// unless the defaults are merged.
///
/// # Errors
/// The key and what is wrong with its value.
pub(super) fn hard_eviction(map: Option<&BTreeMap<String, String>>, merged: bool) -> Result<Option<MemoryThreshold>, String> {
    const SIGNAL: &str = "memory.available";
    const DEFAULT: MemoryThreshold = MemoryThreshold::Bytes(Bytes::new(100 << 20));
    let Some(map) = map.filter(|map| !map.is_empty()) else { return Ok(Some(DEFAULT)) };
    let Some(text) = map.get(SIGNAL) else { return Ok(merged.then_some(DEFAULT)) };
    let named = |error: gleaner_model::ValueError| format!("evictionHard.{SIGNAL}: {error}");
    if text.ends_with('%') {
        let share: Permille = text.parse().map_err(named)?;
        // Kubelet takes both ends for "off".
        return Ok(Some(share).filter(|share| (1..1000).contains(&share.get())).map(MemoryThreshold::Share));
    }
    text.parse().map(|bytes| Some(MemoryThreshold::Bytes(bytes))).map_err(named)
}
