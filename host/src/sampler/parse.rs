//! Finds single values in the kernel's texts without allocating. The procfs crate's readers are not used in the sampler: they build a
//! map or a list with every line of a file of which a few numbers are wanted.

use gleaner_model::Bytes;
use std::collections::BTreeMap;

/// The numbers of lines `key value`, one for each key; `None` for a key that the text lacks.
///
/// # Errors
/// A sentence that names the key whose value is no number.
pub(crate) fn keyed<const N: usize>(text: &str, keys: [&str; N]) -> Result<[Option<u64>; N], String> {
    keyed_lines(text.lines(), keys)
}

/// As [`keyed`], for a NUMA node's `meminfo`, in which `Node 0 ` stands before every key.
///
/// # Errors
/// A sentence that names the key whose value is no number.
pub(crate) fn node_meminfo<const N: usize>(text: &str, keys: [&str; N]) -> Result<[Option<u64>; N], String> {
    let key_on = |line| Some(of_node(line)?.1.trim_start());
    keyed_lines(text.lines().filter_map(key_on), keys)
}

fn keyed_lines<'a, const N: usize>(lines: impl Iterator<Item = &'a str>, keys: [&str; N]) -> Result<[Option<u64>; N], String> {
    let mut found = [None; N];
    let mut left = N;
    for line in lines {
        let Some((name, value)) = line.split_once(' ') else { continue };
        for (key, place) in keys.iter().zip(&mut found) {
            if *key == name && place.is_none() {
                *place = Some(number(value).ok_or_else(|| format!("the value of `{key}` in `{line}` is no number"))?);
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    Ok(found)
}

/// As [`keyed`], for texts in which every key must be.
///
/// # Errors
/// A sentence that names the key that is missing or whose value is no number.
pub(crate) fn keyed_all<const N: usize>(text: &str, keys: [&str; N]) -> Result<[u64; N], String> {
    let found = keyed(text, keys)?;
    let mut all = [0; N];
    for ((key, value), place) in keys.iter().zip(found).zip(&mut all) {
        *place = value.ok_or_else(|| format!("no line `{key}`"))?;
    }
    Ok(all)
}

/// The whole text is one number.
///
/// # Errors
/// A sentence that shows the text.
pub(crate) fn single(text: &str) -> Result<u64, String> {
    number(text).ok_or_else(|| format!("`{}` is no number", text.trim_end()))
}

/// A number with blanks around it; a unit after it (`kB`) is passed over.
fn number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The number of a line that begins with `Node 0`, and what follows it.
fn of_node(line: &str) -> Option<(u32, &str)> {
    let rest = line.strip_prefix("Node ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (node, rest) = rest.split_at_checked(digits)?;
    Some((node.parse().ok()?, rest))
}

/// What the kernel prints with the unit `kB`, which is 1024 bytes.
pub(crate) fn kilobytes(count: u64) -> Bytes {
    Bytes::new(1024).scaled(count, 1)
}

/// Busy time of the machine's CPUs since boot, in clock ticks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BusyTicks {
    /// Of all together, those gone offline included.
    pub(crate) total: u64,
    /// Of each that is online, with its number.
    pub(crate) each: Vec<(u32, u64)>,
}

/// Reads the `cpu` lines of `/proc/stat`, which come first. Busy is user, nice, system, irq, softirq and steal; idle and iowait are not,
/// and guest time is already part of user and nice (`man 5 proc_stat`).
///
/// # Errors
/// A sentence that shows the line that is not understood.
pub(crate) fn busy_ticks(text: &str) -> Result<BusyTicks, String> {
    let (mut total, mut each) = (None, Vec::new());
    for line in text.lines() {
        let Some((name, values)) = line.strip_prefix("cpu").and_then(|rest| rest.split_once(' ')) else { break };
        let broken = || format!("`{line}` is no line of CPU times");
        let busy = busy_of(values).ok_or_else(broken)?;
        if name.is_empty() {
            total = Some(busy);
        } else {
            each.push((name.parse().map_err(|_| broken())?, busy));
        }
    }
    Ok(BusyTicks { total: total.ok_or("no line `cpu`")?, each })
}

fn busy_of(values: &str) -> Option<u64> {
    let mut fields = values.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
    let mut next = || fields.next()?;
    let (user, nice, system) = (next()?, next()?, next()?);
    let (_idle, _iowait) = (next()?, next()?);
    let (irq, softirq) = (next()?, next()?);
    // Kernels before 2.6.11 have no steal time; there is none then.
    let steal = next().unwrap_or(0);
    [user, nice, system, irq, softirq, steal].into_iter().try_fold(0u64, u64::checked_add)
}

/// The sum of the low watermarks of each NUMA node's zones in `/proc/zoneinfo`, in pages; the kernel wakes its reclaim when a zone falls
/// below its own.
///
/// # Errors
/// When no zone has one, one is no number, or one stands before any node.
pub(crate) fn low_watermark_pages(text: &str) -> Result<BTreeMap<u32, u64>, String> {
    let mut node = None;
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for line in text.lines() {
        if line.starts_with("Node ") {
            node = Some(of_node(line).ok_or_else(|| format!("`{line}` names no node"))?.0);
        } else if let Some(value) = line.trim_start().strip_prefix("low ") {
            let pages = number(value).ok_or_else(|| format!("`{line}` is no number of pages"))?;
            let sum = sums.entry(node.ok_or_else(|| format!("`{line}` is of no node"))?).or_default();
            *sum = sum.saturating_add(pages);
        }
    }
    if sums.is_empty() { Err("no zone has a low watermark".to_owned()) } else { Ok(sums) }
}

/// What each online CPU's tasks waited for it since boot, in nanoseconds: the 8th number of the `cpu` lines of `/proc/schedstat` (kernel,
/// `scheduler/sched-stats.rst`). Versions 15 to 17 differ in the lines of domains only; another version may have moved the number.
///
/// # Errors
/// A sentence that shows the version or the line that is not understood.
pub(crate) fn run_delays(text: &str) -> Result<Vec<(u32, u64)>, String> {
    let first = text.lines().next().unwrap_or_default();
    let version = first.strip_prefix("version ").and_then(number);
    if !version.is_some_and(|version| (15..=17).contains(&version)) {
        return Err(format!("`{first}` is no version from 15 to 17"));
    }
    let mut delays = Vec::new();
    for (name, values) in text.lines().filter_map(|line| line.strip_prefix("cpu")?.split_once(' ')) {
        let delay = name.parse().ok().zip(values.split_ascii_whitespace().nth(7).and_then(number));
        delays.push(delay.ok_or_else(|| format!("`cpu{name} {values}` is no line of a CPU"))?);
    }
    // Nothing runs for long without waiting once: zeros alone say that this kernel does not count.
    if delays.iter().all(|(_, delay)| *delay == 0) { Err("no CPU counts the time waited for it".to_owned()) } else { Ok(delays) }
}

/// A zram device that is swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ZramSwap {
    /// The number in its name.
    pub(crate) number: u32,
    /// How much can be swapped to it, before compression.
    pub(crate) size: Bytes,
}

/// The lines of `/dev/zramN` in `/proc/swaps`. Other lines are not looked into: their names may hold anything.
///
/// # Errors
/// A sentence that shows the line whose size is no number.
pub(crate) fn zram_swaps(text: &str) -> Result<Vec<ZramSwap>, String> {
    let device = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let number = fields.next()?.strip_prefix("/dev/zram")?.parse().ok()?;
        let size = fields.nth(1).and_then(self::number).map(kilobytes);
        Some(size.map(|size| ZramSwap { number, size }).ok_or_else(|| format!("`{line}` has no size")))
    };
    text.lines().filter_map(device).collect()
}

/// What a zram device takes from memory: the third number of its `mm_stat`, `mem_used_total` (kernel, `admin-guide/blockdev/zram.rst`).
///
/// # Errors
/// A sentence that shows the text.
pub(crate) fn zram_memory(text: &str) -> Result<Bytes, String> {
    let used = text.split_ascii_whitespace().nth(2).and_then(number);
    used.map(Bytes::new).ok_or_else(|| format!("`{}` has no third number", text.trim_end()))
}

#[cfg(test)]
mod tests;
