//! The readings of one container.

use crate::cgroup::{Controller, Layout, Mode, Version};
use crate::psi;
use crate::sampler::folder::{Access, Folder, Slot};
use crate::sampler::parse;
use crate::sampler::rate::{Rate, milli_cpu, share_of};
use gleaner_model::{
    Absence, Bytes, CgroupPath, ContainerReadings, CpuPressure, CpuSet, MemoryReadings, MilliCpu, Permille, Pressure, Reading, Timestamp,
};
use std::time::Duration;

/// How many files of one container are open at most: two of the CPU controllers, two of memory, one of cpuset, three of pressure.
pub(crate) const FILES: u64 = 8;

/// The files of one container and what of the last sample is needed for rates.
#[derive(Debug)]
pub(crate) struct ContainerFiles {
    /// `cpuacct.usage` of v1.
    account: Option<(Folder, Slot)>,
    /// `cpu.stat`: throttling, and on v2 the usage, too.
    cpu_stat: Option<(Folder, Slot)>,
    memory: Option<MemoryFiles>,
    cpuset: Option<CpusetFiles>,
    pressure: Option<PressureFiles>,
    used: Rate<u64>,
    throttled: Rate<(u64, u64)>,
    waited: Rate<u64>,
}

#[derive(Debug)]
struct MemoryFiles {
    folder: Folder,
    usage: Slot,
    stat: Slot,
    /// Names of anonymous, file and inactive file memory in `memory.stat`.
    keys: [&'static str; 3],
}

#[derive(Debug)]
struct CpusetFiles {
    folder: Folder,
    effective: Slot,
    /// Before Linux 3.16, v1 has no effective set: what was set is in force.
    configured: Option<Slot>,
}

#[derive(Debug)]
struct PressureFiles {
    folder: Folder,
    cpu: Slot,
    memory: Slot,
    io: Slot,
}

impl ContainerFiles {
    /// The files of a cgroup; none is opened before it is read.
    pub(crate) fn new(layout: &Layout, path: &CgroupPath) -> Self {
        let v1 = |c: Controller| layout.version(c) == Some(Version::V1);
        let folder = |c: Controller| layout.dir(c, path).map(|dir| Folder::new(dir, false));
        // The cgroup2 mount prints usage in every cgroup, whether or not the cpu controller is on there.
        let cpu = if v1(Controller::Cpu) { layout.dir(Controller::Cpu, path) } else { layout.unified_dir(path) };
        let memory = |folder| match v1(Controller::Memory) {
            true => MemoryFiles {
                folder,
                usage: Slot::new("memory.usage_in_bytes"),
                stat: Slot::new("memory.stat"),
                keys: ["total_rss", "total_cache", "total_inactive_file"],
            },
            false => MemoryFiles {
                folder,
                usage: Slot::new("memory.current"),
                stat: Slot::new("memory.stat"),
                keys: ["anon", "file", "inactive_file"],
            },
        };
        let cpuset = |folder| match v1(Controller::Cpuset) {
            true => CpusetFiles { folder, effective: Slot::new("cpuset.effective_cpus"), configured: Some(Slot::new("cpuset.cpus")) },
            false => CpusetFiles { folder, effective: Slot::new("cpuset.cpus.effective"), configured: None },
        };
        let pressure = |dir| PressureFiles {
            folder: Folder::new(dir, layout.mode() != Mode::V2),
            cpu: Slot::new("cpu.pressure"),
            memory: Slot::new("memory.pressure"),
            io: Slot::new("io.pressure"),
        };
        Self {
            account: folder(Controller::Cpuacct).filter(|_| v1(Controller::Cpuacct)).map(|f| (f, Slot::new("cpuacct.usage"))),
            cpu_stat: cpu.map(|dir| (Folder::new(dir, false), Slot::new("cpu.stat"))),
            memory: folder(Controller::Memory).map(memory),
            cpuset: folder(Controller::Cpuset).map(cpuset),
            pressure: layout.unified_dir(path).map(pressure),
            used: Rate::default(),
            throttled: Rate::default(),
            waited: Rate::default(),
        }
    }

    /// Reads all of it.
    pub(crate) fn read(&mut self, access: &mut Access<'_>, at: Timestamp) -> ContainerReadings {
        let (cpu_usage, throttled) = self.cpu(access, at);
        let memory = self.memory.as_mut().map_or(Err(Absence::NotOffered), |files| files.read(access));
        let cpus = self.cpuset.as_mut().map_or(Err(Absence::NotOffered), |files| files.read(access));
        let (cpu, memory_pressure, io_pressure) = match &mut self.pressure {
            Some(files) => files.read(access),
            None => (Err(Absence::NotOffered), Err(Absence::NotOffered), Err(Absence::NotOffered)),
        };
        ContainerReadings {
            cpu_usage: reading(cpu_usage, at),
            throttled: reading(throttled, at),
            cpu_pressure: reading(waiting(cpu, &mut self.waited, at), at),
            memory: reading(memory, at),
            memory_pressure: reading(memory_pressure, at),
            io_pressure: reading(io_pressure, at),
            cpus: reading(cpus, at),
        }
    }

    fn cpu(&mut self, access: &mut Access<'_>, at: Timestamp) -> (Result<MilliCpu, Absence>, Result<Permille, Absence>) {
        let stat = one(&mut self.cpu_stat, access, |text| parse::keyed(text, ["usage_usec", "nr_periods", "nr_throttled"]));
        let used = match &mut self.account {
            Some((folder, slot)) => {
                folder.look();
                slot.read(folder, access, parse::single).map(Duration::from_nanos)
            }
            None => stat.clone().and_then(|[usage, ..]| usage.map(Duration::from_micros).ok_or(Absence::NotOffered)),
        };
        let periods = stat.and_then(|[_, periods, throttled]| periods.zip(throttled).ok_or(Absence::NotOffered));
        (usage(used, &mut self.used, at), throttling(periods, &mut self.throttled, at))
    }
}

impl MemoryFiles {
    fn read(&mut self, access: &mut Access<'_>) -> Result<MemoryReadings, Absence> {
        self.folder.look();
        let usage = Bytes::new(self.usage.read(&mut self.folder, access, parse::single)?);
        let keys = self.keys;
        let [anon, file, inactive_file] = self.stat.read(&mut self.folder, access, |text| parse::keyed_all(text, keys))?.map(Bytes::new);
        Ok(MemoryReadings { usage, working_set: usage.minus(inactive_file), anon, file, inactive_file })
    }
}

impl CpusetFiles {
    fn read(&mut self, access: &mut Access<'_>) -> Result<CpuSet, Absence> {
        let parse = |text: &str| text.parse::<CpuSet>().map_err(|cause| cause.to_string());
        self.folder.look();
        match (self.effective.read(&mut self.folder, access, parse), &mut self.configured) {
            (Err(Absence::NotOffered), Some(configured)) => configured.read(&mut self.folder, access, parse),
            (read, _) => read,
        }
    }
}

type PressureRead = Result<Pressure, Absence>;

impl PressureFiles {
    fn read(&mut self, access: &mut Access<'_>) -> (PressureRead, PressureRead, PressureRead) {
        let folder = &mut self.folder;
        folder.look();
        (self.cpu.read(folder, access, psi::parse), self.memory.read(folder, access, psi::parse), self.io.read(folder, access, psi::parse))
    }
}

/// Reads the one file of a folder.
fn one<T>(file: &mut Option<(Folder, Slot)>, access: &mut Access<'_>, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Absence> {
    let (folder, slot) = file.as_mut().ok_or(Absence::NotOffered)?;
    folder.look();
    slot.read(folder, access, parse)
}

/// CPU time per time; an unreadable counter makes the next one the first again.
fn usage(used: Result<Duration, Absence>, rate: &mut Rate<u64>, at: Timestamp) -> Result<MilliCpu, Absence> {
    let used = used.inspect_err(|_| rate.forget())?;
    let nanos = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
    let (grown, over) = rate.advance(at, nanos, |old, new| new.checked_sub(*old))?;
    Ok(milli_cpu(Duration::from_nanos(grown), over))
}

/// Throttled periods per period; without a quota there are no periods, and nothing is throttled.
fn throttling(periods: Result<(u64, u64), Absence>, rate: &mut Rate<(u64, u64)>, at: Timestamp) -> Result<Permille, Absence> {
    let periods = periods.inspect_err(|_| rate.forget())?;
    let grown = |old: &(u64, u64), new: &(u64, u64)| new.0.checked_sub(old.0).zip(new.1.checked_sub(old.1));
    let ((all, throttled), _) = rate.advance(at, periods, grown)?;
    Ok(Permille::of(throttled, all).unwrap_or_default())
}

/// CPU pressure with its share of the interval.
pub(crate) fn waiting(cpu: PressureRead, rate: &mut Rate<u64>, at: Timestamp) -> Result<CpuPressure, Absence> {
    let pressure = cpu.inspect_err(|_| rate.forget())?;
    let (grown, over) = rate.advance(at, pressure.some.total_us, |old, new| new.checked_sub(*old))?;
    Ok(CpuPressure { pressure, waiting: share_of(Duration::from_micros(grown), over) })
}

pub(crate) fn reading<T>(read: Result<T, Absence>, at: Timestamp) -> Reading<T> {
    match read {
        Ok(value) => Reading::present(value, at),
        Err(absence) => Reading::Absent(absence),
    }
}
