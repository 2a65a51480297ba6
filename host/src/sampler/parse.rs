//! Finds single values in the kernel's texts without allocating. The procfs crate's readers are not used in the sampler: they build a
//! map or a list with every line of a file of which a few numbers are wanted.

/// The numbers of lines `key value`, one for each key; `None` for a key that the text lacks.
///
/// # Errors
/// A sentence that names the key whose value is no number.
pub(crate) fn keyed<const N: usize>(text: &str, keys: [&str; N]) -> Result<[Option<u64>; N], String> {
    let mut found = [None; N];
    let mut left = N;
    for line in text.lines() {
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

/// The sum of all zones' low watermarks in `/proc/zoneinfo`, in pages; the kernel wakes its reclaim when a zone falls below it.
///
/// # Errors
/// When no zone has one, or one is no number.
pub(crate) fn low_watermark_pages(text: &str) -> Result<u64, String> {
    let mut sum: Option<u64> = None;
    for line in text.lines() {
        let Some(value) = line.trim_start().strip_prefix("low ") else { continue };
        let pages = number(value).ok_or_else(|| format!("`{line}` is no number of pages"))?;
        sum = Some(sum.unwrap_or(0).saturating_add(pages));
    }
    sum.ok_or_else(|| "no zone has a low watermark".to_owned())
}

#[cfg(test)]
mod tests;
