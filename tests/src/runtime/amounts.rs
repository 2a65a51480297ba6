//! Resources of a container: as kubelet asks, as the runtime keeps them, as they are on the wire.

use gleaner_crds::nri::{LinuxCpu, LinuxMemory, LinuxResources, OptionalInt64, OptionalUInt64};
use std::collections::BTreeMap;

/// Resources, in kubelet's way of saying nothing: what is zero or empty is not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPUs, as a list of the kernel.
    pub cpus: String,
    /// Memory nodes, as a list of the kernel.
    pub mems: String,
    /// The weight.
    pub shares: u64,
    /// CPU time per period in microseconds; -1 without a bound.
    pub quota: i64,
    /// The period in microseconds.
    pub period: u64,
    /// Memory at most, in bytes; -1 without a bound.
    pub memory: i64,
    /// Files of cgroup v2, by name.
    pub unified: BTreeMap<String, String>,
}

impl Amounts {
    /// As kubelet asks for a container with this request and limit of CPU, in thousandths; a limit of zero is none.
    #[must_use]
    pub fn cpu(request: u64, limit: u64) -> Self {
        let quota = i64::try_from(limit * 100).unwrap();
        Self { shares: (request * 1024 / 1000).max(2), quota, period: 100_000, ..Self::default() }
    }

    /// With at most this much memory, in bytes.
    #[must_use]
    pub fn memory(mut self, bytes: i64) -> Self {
        self.memory = bytes;
        self
    }

    /// With these CPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: &str) -> Self {
        cpus.clone_into(&mut self.cpus);
        self
    }

    /// With this file of cgroup v2.
    #[must_use]
    pub fn unified(mut self, file: &str, text: &str) -> Self {
        self.unified.insert(file.to_owned(), text.to_owned());
        self
    }

    /// As in a container's specification: what is not given is absent. Swap follows memory.
    pub(super) fn in_spec(&self) -> LinuxResources {
        let signed = |value: i64| (value != 0).then_some(OptionalInt64 { value });
        let unsigned = |value: u64| (value != 0).then_some(OptionalUInt64 { value });
        let memory = LinuxMemory { limit: signed(self.memory), reservation: None, swap: signed(self.memory) };
        let (shares, quota, period) = (unsigned(self.shares), signed(self.quota), unsigned(self.period));
        let cpu = LinuxCpu { shares, quota, period, cpus: self.cpus.clone(), mems: self.mems.clone() };
        LinuxResources { memory: Some(memory), cpu: Some(cpu), unified: self.unified.clone(), ..LinuxResources::default() }
    }

    /// As in kubelet's own words: numbers that are not given are wrappers that hold zero.
    pub(super) fn as_asked(&self) -> LinuxResources {
        let signed = |value: i64| Some(OptionalInt64 { value });
        let unsigned = |value: u64| Some(OptionalUInt64 { value });
        let memory = LinuxMemory { limit: signed(self.memory), ..LinuxMemory::default() };
        let (shares, quota, period) = (unsigned(self.shares), signed(self.quota), unsigned(self.period));
        let cpu = LinuxCpu { shares, quota, period, cpus: self.cpus.clone(), mems: self.mems.clone() };
        LinuxResources { memory: Some(memory), cpu: Some(cpu), unified: self.unified.clone(), ..LinuxResources::default() }
    }

    /// What of a plugin's words has an effect.
    pub(super) fn of(wire: &LinuxResources) -> Self {
        let cpu = wire.cpu.clone().unwrap_or_default();
        Self {
            shares: cpu.shares.map_or(0, |shares| shares.value),
            quota: cpu.quota.map_or(0, |quota| quota.value),
            period: cpu.period.map_or(0, |period| period.value),
            cpus: cpu.cpus,
            mems: cpu.mems,
            memory: wire.memory.as_ref().and_then(|memory| memory.limit).map_or(0, |limit| limit.value),
            unified: wire.unified.clone(),
        }
    }

    /// Takes over what another gives. Files with nothing in them are no files.
    pub(super) fn take(&mut self, other: &Self) {
        let text = |own: &mut String, other: &str| {
            if !other.is_empty() {
                other.clone_into(own);
            }
        };
        text(&mut self.cpus, &other.cpus);
        text(&mut self.mems, &other.mems);
        self.shares = if other.shares == 0 { self.shares } else { other.shares };
        self.quota = if other.quota == 0 { self.quota } else { other.quota };
        self.period = if other.period == 0 { self.period } else { other.period };
        self.memory = if other.memory == 0 { self.memory } else { other.memory };
        self.unified.extend(other.unified.clone().into_iter().filter(|(_, text)| !text.is_empty()));
    }

    /// The weight on cgroup v2 that the shares become.
    #[must_use]
    pub fn weight(&self) -> u64 {
        1 + self.shares.saturating_sub(2).saturating_mul(9999) / 262_142
    }

    /// The text of `cpu.max`.
    #[must_use]
    pub fn cpu_max(&self) -> String {
        let quota = if self.quota > 0 { self.quota.to_string() } else { "max".to_owned() };
        format!("{quota} {}", if self.period == 0 { 100_000 } else { self.period })
    }

    /// Whether the container's own cgroup is of the idle class, so that the kernel takes no weight for it.
    pub(super) fn is_idle(&self) -> bool {
        self.unified.get("cpu.idle").is_some_and(|text| text == "1")
    }
}
