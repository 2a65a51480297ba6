//! The memory of each NUMA node.

use crate::file::{Buffer, KernelFile};
use crate::sampler::container::reading;
use crate::sampler::parse;
use crate::sampler::proc_file::ProcFile;
use crate::sampler::seldom::Seldom;
use gleaner_model::{Absence, Bytes, NumaId, NumaReadings, Reading, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// At one sample a second: every second sample. A node's `meminfo` sums counters of all CPUs, and there is one for each node.
pub(crate) const EVERY: Duration = Duration::from_millis(1500);

/// The nodes' files.
#[derive(Debug)]
pub(crate) struct NumaFiles {
    folder: PathBuf,
    nodes: BTreeMap<NumaId, NodeFile>,
}

#[derive(Debug)]
struct NodeFile {
    meminfo: ProcFile,
    amounts: Seldom<[Reading<Bytes>; 3]>,
}

impl NumaFiles {
    /// The files below `sys`, `/sys` but in tests.
    pub(crate) fn new(sys: &Path) -> Self {
        Self { folder: sys.join("devices/system/node"), nodes: BTreeMap::new() }
    }

    /// Reads the nodes that `low` names: their low watermarks, which stand in the same file as the nodes themselves. When that could
    /// not be read, the nodes are those of before.
    pub(crate) fn read(
        &mut self,
        buffer: &mut Buffer,
        low: &Result<BTreeMap<NumaId, Bytes>, Absence>,
        at: Timestamp,
    ) -> BTreeMap<NumaId, NumaReadings> {
        if let Ok(low) = low {
            self.nodes.retain(|id, _| low.contains_key(id));
            for id in low.keys() {
                let meminfo = || ProcFile::new(self.folder.join(format!("node{id}/meminfo")), KernelFile::open);
                self.nodes.entry(*id).or_insert_with(|| NodeFile { meminfo: meminfo(), amounts: Seldom::new(EVERY) });
            }
        }
        let watermark = |id: &NumaId| match low {
            Ok(low) => low.get(id).copied().ok_or(Absence::NotOffered),
            Err(absence) => Err(absence.clone()),
        };
        let mut readings = BTreeMap::new();
        for (id, node) in &mut self.nodes {
            let meminfo = &mut node.meminfo;
            let [memory_total, memory_free, inactive_file] = node.amounts.get(at, || amounts(meminfo, buffer, at));
            let memory_low_watermark = reading(watermark(id), at);
            let known = [&memory_total, &memory_free, &inactive_file, &memory_low_watermark].iter().any(|r| r.value().is_some());
            if known {
                readings.insert(*id, NumaReadings { memory_total, memory_free, inactive_file, memory_low_watermark });
            }
        }
        readings
    }
}

fn amounts(meminfo: &mut ProcFile, buffer: &mut Buffer, at: Timestamp) -> [Reading<Bytes>; 3] {
    let found = match meminfo.read(buffer, |text| parse::node_meminfo(text, ["MemTotal:", "MemFree:", "Inactive(file):"])) {
        Ok(found) => found.map(|kb| kb.map(parse::kilobytes).ok_or(Absence::NotOffered)),
        Err(absence) => [Err(absence.clone()), Err(absence.clone()), Err(absence)],
    };
    found.map(|amount| reading(amount, at))
}
