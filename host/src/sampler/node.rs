//! The readings of the node as a whole.

use crate::file::{Buffer, KernelFile};
use crate::psi;
use crate::sampler::container::{reading, waiting};
use crate::sampler::numa::{self, NumaFiles};
use crate::sampler::parse::{self, BusyTicks};
use crate::sampler::proc_file::ProcFile;
use crate::sampler::rate::{Rate, milli_cpu, ratio_of, share_of};
use crate::sampler::seldom::Seldom;
use crate::sampler::swap::SwapFiles;
use gleaner_model::{Absence, Bytes, CpuId, MilliCpu, NodeReadings, NumaId, Permille, Reading, SwapReadings, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How many files of the node are open at most: eight of `/proc`, and one for each NUMA node and each zram device with swap. A machine with
/// more than 64 of these takes them from what is left for other uses.
pub(crate) const FILES: u64 = 8 + 64;

/// At one sample a second: every fifth sample. The file has several lines for each CPU, which makes it the dearest of all.
const SCHEDSTAT_EVERY: Duration = Duration::from_millis(4500);

type ByCpu = BTreeMap<CpuId, Permille>;
type Usage = (MilliCpu, ByCpu);

/// The node's files and what of the last sample is needed for rates.
#[derive(Debug)]
pub(crate) struct NodeFiles {
    stat: ProcFile,
    meminfo: ProcFile,
    zoneinfo: ProcFile,
    cpu: ProcFile,
    memory: ProcFile,
    io: ProcFile,
    schedstat: ProcFile,
    numa: NumaFiles,
    swap: SwapFiles,
    ticks: Rate<BusyTicks>,
    waited: Rate<u64>,
    delays: Rate<Vec<(u32, u64)>>,
    held_delays: Seldom<Reading<ByCpu>>,
    held_swap: Seldom<Reading<SwapReadings>>,
    tick: Duration,
    page: Bytes,
}

impl NodeFiles {
    /// The files below `proc` and `sys`, `/proc` and `/sys` but in tests; none is opened before it is read.
    pub(crate) fn new(proc: &Path, sys: &Path) -> Self {
        let whole = |name| ProcFile::new(proc.join(name), KernelFile::open);
        let records = |name| ProcFile::new(proc.join(name), KernelFile::open_records);
        let ticks_per_second = u32::try_from(procfs::ticks_per_second()).unwrap_or(100).max(1);
        Self {
            stat: whole("stat"),
            meminfo: whole("meminfo"),
            zoneinfo: records("zoneinfo"),
            cpu: whole("pressure/cpu"),
            memory: whole("pressure/memory"),
            io: whole("pressure/io"),
            schedstat: records("schedstat"),
            numa: NumaFiles::new(sys),
            swap: SwapFiles::new(proc, sys),
            ticks: Rate::default(),
            waited: Rate::default(),
            delays: Rate::default(),
            held_delays: Seldom::new(SCHEDSTAT_EVERY),
            held_swap: Seldom::new(numa::EVERY),
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
        let low = self.low_watermarks(buffer);
        let keys = ["MemTotal:", "MemFree:", "MemAvailable:", "SwapTotal:", "SwapFree:"];
        let [total, free, available, swap_total, swap_free] = match self.meminfo.read(buffer, |text| parse::keyed(text, keys)) {
            Ok(found) => found.map(|kb| kb.map(parse::kilobytes).ok_or(Absence::NotOffered)),
            Err(absence) => keys.map(|_| Err(absence.clone())),
        };
        let swap = swap_total.and_then(|total| Ok((total, swap_free?)));
        NodeReadings {
            cpu_usage: reading(cpu_usage, at),
            cpu_usage_by_cpu: reading(cpu_usage_by_cpu, at),
            memory_total: reading(total, at),
            memory_free: reading(free, at),
            memory_available: reading(available, at),
            numa: self.numa.read(buffer, &low, at),
            memory_low_watermark: reading(low.map(|nodes| nodes.into_values().sum()), at),
            cpu_pressure: reading(waiting(self.cpu.read(buffer, psi::parse), &mut self.waited, at), at),
            memory_pressure: reading(self.memory.read(buffer, psi::parse), at),
            io_pressure: reading(self.io.read(buffer, psi::parse), at),
            swap: self.held_swap.get(at, || reading(swap.and_then(|(total, free)| self.swap.read(buffer, total, free)), at)),
            sched_wait_by_cpu: self.sched_wait(buffer, at),
        }
    }

    fn low_watermarks(&mut self, buffer: &mut Buffer) -> Result<BTreeMap<NumaId, Bytes>, Absence> {
        let pages = self.zoneinfo.read(buffer, parse::low_watermark_pages)?;
        Ok(pages.into_iter().map(|(node, pages)| (NumaId::new(node), self.page.scaled(pages, 1))).collect())
    }

    fn sched_wait(&mut self, buffer: &mut Buffer, at: Timestamp) -> Reading<ByCpu> {
        let (file, rate) = (&mut self.schedstat, &mut self.delays);
        self.held_delays.get(at, || reading(delays(file.read(buffer, parse::run_delays), rate, at), at))
    }

    fn usage(&mut self, buffer: &mut Buffer, at: Timestamp) -> Result<Usage, Absence> {
        let now = self.stat.read(buffer, parse::busy_ticks).inspect_err(|_| self.ticks.forget())?;
        let (grown, over) = self.ticks.advance(at, now, growth)?;
        let time = |ticks: u64| self.tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        let each = grown.each.into_iter().map(|(cpu, ticks)| (CpuId::new(cpu), share_of(time(ticks), over))).collect();
        Ok((milli_cpu(time(grown.total), over), each))
    }
}

/// Ticks between two samples; the total must not go backwards.
fn growth(old: &BusyTicks, new: &BusyTicks) -> Option<BusyTicks> {
    Some(BusyTicks { total: new.total.checked_sub(old.total)?, each: growth_by_cpu(&old.each, &new.each) })
}

/// Growth of each CPU's counter. A CPU that went offline or came online in between has none, nor one whose counter went backwards.
fn growth_by_cpu(old: &[(u32, u64)], new: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let before: BTreeMap<u32, u64> = old.iter().copied().collect();
    new.iter().filter_map(|(cpu, count)| Some((*cpu, count.checked_sub(*before.get(cpu)?)?))).collect()
}

/// Time that tasks waited for each CPU, per time.
fn delays(read: Result<Vec<(u32, u64)>, Absence>, rate: &mut Rate<Vec<(u32, u64)>>, at: Timestamp) -> Result<ByCpu, Absence> {
    let now = read.inspect_err(|_| rate.forget())?;
    let grown = |old: &Vec<_>, new: &Vec<_>| Some(growth_by_cpu(old, new)).filter(|grown| !grown.is_empty());
    let (grown, over) = rate.advance(at, now, grown)?;
    Ok(grown.into_iter().map(|(cpu, nanos)| (CpuId::new(cpu), ratio_of(Duration::from_nanos(nanos), over))).collect())
}
