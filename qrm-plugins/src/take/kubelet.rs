//! The static policy: the sets that kubelet's static CPU manager policy chooses (Kubernetes 1.34), with its options.

mod accumulator;
mod distributed;
mod machine;
mod packed;

pub use accumulator::{Accumulator, Sorting, Unit};
pub use distributed::distributed;
pub use machine::{Counts, KubeletMachine, Place};
pub use packed::packed;

use gleaner_model::CpuSet;
use serde::{Deserialize, Serialize};

/// The options of kubelet's static policy that say which CPUs. Where all are off, whole packages, NUMA nodes, cores, then threads are taken,
/// the fullest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StaticOptions {
    /// `full-pcpus-only`: nothing but whole cores; a number of CPUs that is no multiple of the threads of a core is refused.
    pub full_pcpus_only: bool,
    /// `distribute-cpus-across-numa`: the same number on each of as few NUMA nodes as can hold the request.
    pub distribute_cpus_across_numa: bool,
    /// `distribute-cpus-across-cores`: threads of different cores before siblings.
    pub distribute_cpus_across_cores: bool,
    /// `prefer-align-cpus-by-uncorecache`: whole L3 caches, then a part of one.
    pub prefer_align_cpus_by_uncorecache: bool,
}

impl StaticOptions {
    /// Options that contradict each other, one line each, as kubelet refuses them; empty when none do.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let across_cores = ("distributeCpusAcrossCores", self.distribute_cpus_across_cores);
        let pairs = [
            (("fullPcpusOnly", self.full_pcpus_only), across_cores),
            (("distributeCpusAcrossNuma", self.distribute_cpus_across_numa), across_cores),
            (("preferAlignCpusByUncorecache", self.prefer_align_cpus_by_uncorecache), across_cores),
            (
                ("preferAlignCpusByUncorecache", self.prefer_align_cpus_by_uncorecache),
                ("distributeCpusAcrossNuma", self.distribute_cpus_across_numa),
            ),
        ];
        let both = pairs.into_iter().filter(|((_, first), (_, second))| *first && *second);
        both.map(|((first, _), (second, _))| format!("static: {first} and {second} cannot both be on")).collect()
    }
}

/// `count` CPUs of `available`, chosen as kubelet would. `None` when there are too few, or too few whole cores where only these are taken.
#[must_use]
pub fn take_static(machine: &KubeletMachine, available: &CpuSet, count: u32, options: StaticOptions) -> Option<CpuSet> {
    let sorting = if options.distribute_cpus_across_cores { Sorting::Spread } else { Sorting::Packed };
    let choose = |available: &CpuSet| {
        if options.distribute_cpus_across_numa {
            let group = if options.full_pcpus_only { machine.cpus_per_core() } else { 1 };
            distributed(machine, available, count, group, sorting)
        } else {
            packed(machine, available, count, sorting, options.prefer_align_cpus_by_uncorecache)
        }
    };
    if !options.full_pcpus_only {
        return choose(available);
    }
    let whole = machine.whole_cores(available);
    if !count.is_multiple_of(machine.cpus_per_core().max(1)) || whole.count() < count {
        return None;
    }
    // Kubelet counts groups of free threads, which need not be cores; where that tears one, only whole cores are offered.
    let is_whole = |cpus: &CpuSet| machine.whole_cores(cpus) == *cpus;
    choose(available).filter(is_whole).or_else(|| choose(&whole).filter(is_whole))
}

#[cfg(test)]
mod tests;
