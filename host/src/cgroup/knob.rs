//! The kernel file of each knob on v1 and v2, and its text both ways.

use crate::cgroup::layout::{Controller, Layout, Version};
use crate::cgroup::scores;
use crate::error::HostError;
use gleaner_model::{Bytes, CpuMax, CpuShares, KnobId, KnobKind, KnobValue, Limit, Micros, ValueError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The controller that a knob belongs to.
#[must_use]
pub const fn controller(kind: KnobKind) -> Controller {
    match kind {
        KnobKind::CpusetCpus | KnobKind::CpusetMems | KnobKind::MemoryMigrate => Controller::Cpuset,
        KnobKind::CpuShares | KnobKind::CpuIdle | KnobKind::CpuMax => Controller::Cpu,
        // The kernel kills by the memory of a process, so its list of processes is the one that counts.
        KnobKind::MemoryLow | KnobKind::MemoryHigh | KnobKind::MemoryMax | KnobKind::OomScoreAdj => Controller::Memory,
    }
}

/// The names of the files that hold a knob; none when the version has no such knob. `oom_score_adj` is in the folders of the processes, all
/// others are in the folder of the cgroup.
#[must_use]
pub const fn files(kind: KnobKind, version: Version) -> &'static [&'static str] {
    match (kind, version) {
        (KnobKind::CpusetCpus, _) => &["cpuset.cpus"],
        (KnobKind::CpusetMems, _) => &["cpuset.mems"],
        (KnobKind::CpuShares, Version::V1) => &["cpu.shares"],
        (KnobKind::CpuShares, Version::V2) => &["cpu.weight"],
        (KnobKind::CpuIdle, _) => &["cpu.idle"],
        (KnobKind::CpuMax, Version::V1) => &["cpu.cfs_quota_us", "cpu.cfs_period_us"],
        (KnobKind::CpuMax, Version::V2) => &["cpu.max"],
        (KnobKind::MemoryLow | KnobKind::MemoryHigh, Version::V1) => &[],
        (KnobKind::MemoryLow, Version::V2) => &["memory.low"],
        (KnobKind::MemoryHigh, Version::V2) => &["memory.high"],
        (KnobKind::MemoryMax, Version::V1) => &["memory.limit_in_bytes"],
        (KnobKind::MemoryMax, Version::V2) => &["memory.max"],
        (KnobKind::MemoryMigrate, Version::V1) => &["cpuset.memory_migrate"],
        (KnobKind::MemoryMigrate, Version::V2) => &[],
        (KnobKind::OomScoreAdj, _) => &[scores::FILE],
    }
}

/// What keeps a knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Files of the cgroup.
    Cgroup,
    /// A file of each process of the cgroup.
    Processes,
}

/// Where one knob of one cgroup is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) version: Version,
    pub(crate) files: &'static [&'static str],
    pub(crate) keeper: Keeper,
}

impl Place {
    /// The path to name in a message: the first file of the cgroup, or the cgroup.
    pub(crate) fn path(&self) -> PathBuf {
        if self.keeper == Keeper::Processes {
            return self.dir.clone();
        }
        self.files.first().map_or_else(|| self.dir.clone(), |file| self.dir.join(file))
    }

    /// The texts of all files without their line ends; `None` when the cgroup exists and lacks one of them, or has no process that could have
    /// one. Of processes it is the text of the one with the lowest number.
    pub(crate) fn read(&self) -> Result<Option<Vec<String>>, HostError> {
        if self.keeper == Keeper::Processes {
            return Ok(scores::of_first(&self.dir)?.map(|text| vec![text]));
        }
        let mut texts = Vec::new();
        for file in self.files {
            let path = self.dir.join(file);
            match fs::read_to_string(&path) {
                Ok(text) => texts.push(text.trim().to_owned()),
                Err(e) if e.kind() == io::ErrorKind::NotFound && self.dir.is_dir() => return Ok(None),
                Err(e) => return Err(HostError::io("read", &path, e)),
            }
        }
        Ok(Some(texts))
    }

    pub(crate) fn parse(&self, kind: KnobKind, texts: &[String]) -> Result<KnobValue, HostError> {
        parse(kind, self.version, texts).map_err(|e| HostError::Malformed { path: self.path(), cause: e.to_string() })
    }
}

/// Where a knob is kept; `None` when the layout or the version does not offer it.
pub(crate) fn locate(layout: &Layout, id: &KnobId) -> Option<Place> {
    let controller = controller(id.kind);
    let version = layout.version(controller)?;
    let files = files(id.kind, version);
    let keeper = if id.kind == KnobKind::OomScoreAdj { Keeper::Processes } else { Keeper::Cgroup };
    (!files.is_empty()).then_some(Place { dir: layout.dir(controller, &id.cgroup)?, version, files, keeper })
}

/// What a knob holds; `None` when this kernel or hierarchy does not offer it, or, for a knob of processes, there is none. The shares of an idle cgroup are not its own: the kernel shows
/// its weight for idle cgroups there.
///
/// # Errors
/// When the cgroup is gone ([`HostError::is_gone`]), or a file cannot be read or understood.
pub fn read(layout: &Layout, id: &KnobId) -> Result<Option<KnobValue>, HostError> {
    let Some(place) = locate(layout, id) else { return Ok(None) };
    place.read()?.map(|texts| place.parse(id.kind, &texts)).transpose()
}

/// The smallest amount that the kernel takes for no limit on any page size: the largest signed number rounded down to 64 KiB.
const NO_LIMIT: u64 = 0x7fff_ffff_ffff_0000;

/// The value in the texts of a knob's files, in the order of [`files`].
///
/// # Errors
/// When a text is missing or is not what the kernel writes there.
pub fn parse(kind: KnobKind, version: Version, texts: &[String]) -> Result<KnobValue, ValueError> {
    let text = texts.first().map_or("", |text| text.trim());
    Ok(match kind {
        KnobKind::CpusetCpus => KnobValue::Cpus(text.parse()?),
        KnobKind::CpusetMems => KnobValue::Mems(text.parse()?),
        KnobKind::CpuShares => KnobValue::Shares(match version {
            Version::V1 => CpuShares::new(number(text)?),
            Version::V2 => shares_of_weight(number(text)?),
        }),
        KnobKind::CpuIdle => KnobValue::Idle(flag(text)?),
        KnobKind::MemoryMigrate => KnobValue::MemoryMigrate(flag(text)?),
        KnobKind::OomScoreAdj => KnobValue::OomScoreAdj(text.parse()?),
        KnobKind::CpuMax => KnobValue::CpuMax(match version {
            Version::V1 => cpu_max(text, texts.get(1).map_or("", |text| text.trim()), "-1")?,
            Version::V2 => {
                let (quota, period) = text.split_once(' ').ok_or_else(|| ValueError::malformed(text, "a quota and a period"))?;
                cpu_max(quota, period.trim(), "max")?
            }
        }),
        KnobKind::MemoryLow => KnobValue::MemoryLow(match memory(text)? {
            Limit::At(bytes) => bytes,
            Limit::Max => Bytes::new(u64::MAX),
        }),
        KnobKind::MemoryHigh => KnobValue::MemoryHigh(memory(text)?),
        KnobKind::MemoryMax => KnobValue::MemoryMax(memory(text)?),
    })
}

fn flag(text: &str) -> Result<bool, ValueError> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(ValueError::malformed(text, "0 or 1")),
    }
}

fn number(text: &str) -> Result<u64, ValueError> {
    // `u64::from_str` takes a leading plus sign, the kernel's text has none.
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let malformed = || ValueError::malformed(text, "a whole number");
    if digits { text.parse().map_err(|_| malformed()) } else { Err(malformed()) }
}

fn cpu_max(quota: &str, period: &str, unlimited: &str) -> Result<CpuMax, ValueError> {
    let quota = if quota == unlimited { Limit::Max } else { Limit::At(Micros::new(number(quota)?)) };
    Ok(CpuMax { quota, period: Micros::new(number(period)?) })
}

fn memory(text: &str) -> Result<Limit<Bytes>, ValueError> {
    if text == "max" {
        return Ok(Limit::Max);
    }
    let bytes = number(text)?;
    Ok(if bytes >= NO_LIMIT { Limit::Max } else { Limit::At(Bytes::new(bytes)) })
}

/// The fewest shares that give a weight, so that the weight comes back from them; the kernel shows 0 for an idle cgroup.
fn shares_of_weight(weight: u64) -> CpuShares {
    CpuShares::new(2 + (weight.clamp(1, 10_000) - 1).saturating_mul(262_142).div_ceil(9999))
}

/// What to write into which files, in this order, to bring a knob from one value to another. An empty set is an empty line, since the
/// kernel does not see a write of nothing.
#[must_use]
pub fn texts(version: Version, from: &KnobValue, to: &KnobValue) -> Vec<(&'static str, String)> {
    if let (Version::V1, KnobValue::CpuMax(to)) = (version, to) {
        return quota_texts(from, *to);
    }
    let text = match to {
        KnobValue::Cpus(cpus) => format!("{cpus}\n"),
        KnobValue::Mems(mems) => format!("{mems}\n"),
        KnobValue::Shares(shares) if version == Version::V2 => shares.weight().to_string(),
        KnobValue::Shares(_) | KnobValue::Idle(_) | KnobValue::CpuMax(_) | KnobValue::MemoryMigrate(_) | KnobValue::OomScoreAdj(_) => {
            to.to_string()
        }
        KnobValue::MemoryLow(bytes) => memory_text(version, Limit::At(*bytes)),
        KnobValue::MemoryHigh(limit) | KnobValue::MemoryMax(limit) => memory_text(version, *limit),
    };
    files(to.kind(), version).first().map(|file| (*file, text)).into_iter().collect()
}

fn memory_text(version: Version, limit: Limit<Bytes>) -> String {
    match (limit, version) {
        (Limit::At(bytes), _) if bytes.get() < NO_LIMIT => bytes.get().to_string(),
        (_, Version::V1) => "-1".to_owned(),
        (_, Version::V2) => "max".to_owned(),
    }
}

/// v1 keeps quota and period in two files, so that there is a moment with one old and one new. The order is chosen so that this moment
/// allows no more CPU than the looser of both ends does, which a parent's bound would refuse. Of the two possible mixtures the tighter one
/// always is so, since their product is the product of the ends.
fn quota_texts(from: &KnobValue, to: CpuMax) -> Vec<(&'static str, String)> {
    let quota = match to.quota {
        Limit::Max => "-1".to_owned(),
        Limit::At(quota) => quota.get().to_string(),
    };
    let quota = ("cpu.cfs_quota_us", quota);
    let period = ("cpu.cfs_period_us", to.period.get().to_string());
    let KnobValue::CpuMax(from) = from else { return vec![period, quota] };
    if from.period == to.period {
        return vec![quota];
    }
    let quota_first = match (from.quota, to.quota) {
        (_, Limit::Max) => true,
        (Limit::Max, Limit::At(_)) => false,
        // new quota / old period < old quota / new period
        (Limit::At(old), Limit::At(new)) => product(new, to.period) < product(old, from.period),
    };
    if quota_first { vec![quota, period] } else { vec![period, quota] }
}

fn product(a: Micros, b: Micros) -> u128 {
    u128::from(a.get()) * u128::from(b.get())
}

/// Whether the kernel would show both values as one: v2 keeps a weight for the shares, memory is counted in whole pages, and without a
/// quota the period means nothing.
#[must_use]
pub fn same(version: Version, a: &KnobValue, b: &KnobValue, page: u64) -> bool {
    let pages = |limit: Limit<Bytes>| match limit {
        Limit::At(bytes) if bytes.get() < NO_LIMIT => Some(bytes.get() / page.max(1)),
        _ => None,
    };
    match (a, b) {
        (KnobValue::Shares(a), KnobValue::Shares(b)) if version == Version::V2 => a.weight() == b.weight(),
        (KnobValue::MemoryLow(a), KnobValue::MemoryLow(b)) => pages(Limit::At(*a)) == pages(Limit::At(*b)),
        (KnobValue::MemoryHigh(a), KnobValue::MemoryHigh(b)) | (KnobValue::MemoryMax(a), KnobValue::MemoryMax(b)) => pages(*a) == pages(*b),
        (KnobValue::CpuMax(a), KnobValue::CpuMax(b)) if a.quota == Limit::Max => b.quota == Limit::Max,
        _ => a == b,
    }
}

/// The machine's page size in bytes.
#[must_use]
pub fn page_size() -> u64 {
    let known = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    known.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// The inode number of a cgroup's folder: two cgroups of one path, one after the other, differ in it. A symbolic link is refused.
pub(crate) fn inode(dir: &Path) -> Result<u64, HostError> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(dir).map_err(|e| HostError::io("read", dir, e))?;
    if meta.is_dir() {
        return Ok(meta.ino());
    }
    Err(HostError::Malformed { path: dir.to_owned(), cause: "not a folder".to_owned() })
}

#[cfg(test)]
mod tests;
