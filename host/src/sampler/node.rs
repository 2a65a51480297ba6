//! The readings of the node as a whole.

use crate::psi;
use crate::sampler::container::{reading, waiting};
use crate::sampler::folder::why;
use crate::sampler::parse::{self, BusyTicks};
use crate::sampler::rate::{Rate, milli_cpu, share_of};
use crate::{HostError, file::Buffer, file::KernelFile};
use gleaner_model::{Absence, Bytes, CpuId, MilliCpu, NodeReadings, Permille, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many files of the node are open at most.
pub(crate) const FILES: u64 = 6;

type Open = fn(PathBuf) -> Result<KernelFile, HostError>;
type Usage = (MilliCpu, BTreeMap<CpuId, Permille>);

/// One file of `/proc`; it never vanishes, it is there or not.
#[derive(Debug)]
struct ProcFile {
    path: PathBuf,
    open: Open,
    file: Option<KernelFile>,
}

impl ProcFile {
    fn new(root: &Path, name: &str, open: Open) -> Self {
        Self { path: root.join(name), open, file: None }
    }

    fn read<T>(&mut self, buffer: &mut Buffer, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Absence> {
        let absent = |error: HostError| if error.is_gone() { Absence::NotOffered } else { why(&error) };
        let file = match self.file.take() {
            Some(file) => file,
            None => (self.open)(self.path.clone()).map_err(absent)?,
        };
        let read = file.read(buffer).map_err(absent)?;
        let value = parse(read).map_err(|cause| Absence::Unreadable(format!("{}: {cause}", self.path.display())));
        self.file = Some(file);
        value
    }
}

/// The node's files and what of the last sample is needed for rates.
#[derive(Debug)]
pub(crate) struct NodeFiles {
    stat: ProcFile,
    meminfo: ProcFile,
    zoneinfo: ProcFile,
    cpu: ProcFile,
    memory: ProcFile,
    io: ProcFile,
    ticks: Rate<BusyTicks>,
    waited: Rate<u64>,
    tick: Duration,
    page: Bytes,
}

impl NodeFiles {
    /// The files below `proc`, `/proc` but in tests; none is opened before it is read.
    pub(crate) fn new(proc: &Path) -> Self {
        let whole = |name| ProcFile::new(proc, name, KernelFile::open);
        let ticks_per_second = u32::try_from(procfs::ticks_per_second()).unwrap_or(100).max(1);
        Self {
            stat: whole("stat"),
            meminfo: whole("meminfo"),
            zoneinfo: ProcFile::new(proc, "zoneinfo", KernelFile::open_records),
            cpu: whole("pressure/cpu"),
            memory: whole("pressure/memory"),
            io: whole("pressure/io"),
            ticks: Rate::default(),
            waited: Rate::default(),
            tick: Duration::from_secs(1) / ticks_per_second,
            page: Bytes::new(procfs::page_size()),
        }
    }

    /// Reads all of it.
    pub(crate) fn read(&mut self, buffer: &mut Buffer, at: Timestamp) -> NodeReadings {
        let (cpu_usage, cpu_usage_by_cpu) = match self.usage(buffer, at) {
            Ok((all, each)) => (Ok(all), Ok(each)),
            Err(absence) => (Err(absence.clone()), Err(absence)),
        };
        let page = self.page;
        let low = self.zoneinfo.read(buffer, |text| parse::low_watermark_pages(text).map(|pages| page.scaled(pages, 1)));
        let memory = self.meminfo.read(buffer, |text| parse::keyed(text, ["MemTotal:", "MemFree:", "MemAvailable:"]));
        let amount = |value: fn([Option<u64>; 3]) -> Option<u64>| {
            let kilobytes = memory.clone().and_then(|found| value(found).ok_or(Absence::NotOffered));
            reading(kilobytes.map(|kb| Bytes::new(1024).scaled(kb, 1)), at)
        };
        NodeReadings {
            cpu_usage: reading(cpu_usage, at),
            cpu_usage_by_cpu: reading(cpu_usage_by_cpu, at),
            memory_total: amount(|[total, _, _]| total),
            memory_free: amount(|[_, free, _]| free),
            memory_available: amount(|[_, _, available]| available),
            memory_low_watermark: reading(low, at),
            cpu_pressure: reading(waiting(self.cpu.read(buffer, psi::parse), &mut self.waited, at), at),
            memory_pressure: reading(self.memory.read(buffer, psi::parse), at),
            io_pressure: reading(self.io.read(buffer, psi::parse), at),
            ..NodeReadings::default()
        }
    }

    fn usage(&mut self, buffer: &mut Buffer, at: Timestamp) -> Result<Usage, Absence> {
        let now = self.stat.read(buffer, parse::busy_ticks).inspect_err(|_| self.ticks.forget())?;
        let (grown, over) = self.ticks.advance(at, now, growth)?;
        let time = |ticks: u64| self.tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        let each = grown.each.into_iter().map(|(cpu, ticks)| (CpuId::new(cpu), share_of(time(ticks), over))).collect();
        Ok((milli_cpu(time(grown.total), over), each))
    }
}

/// Ticks between two samples. A CPU that went offline or came online in between has none; the total must not go backwards.
fn growth(old: &BusyTicks, new: &BusyTicks) -> Option<BusyTicks> {
    let before: BTreeMap<u32, u64> = old.each.iter().copied().collect();
    let since = |(cpu, ticks): &(u32, u64)| Some((*cpu, ticks.checked_sub(*before.get(cpu)?)?));
    Some(BusyTicks { total: new.total.checked_sub(old.total)?, each: new.each.iter().filter_map(since).collect() })
}
