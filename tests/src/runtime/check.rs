//! What the kernel and runc take of a container's resources, as far as it shows only when the container starts.

use super::amounts::Amounts;
use super::options::Machine;
use std::collections::BTreeSet;

const INVALID: &str = "invalid argument";
const OUT_OF_RANGE: &str = "numerical result out of range";
const CONTROLLERS: [&str; 7] = ["cgroup", "cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// Holds everything in a specification against the machine.
///
/// # Errors
/// What runc says.
pub(super) fn start(amounts: &Amounts, machine: &Machine) -> Result<(), String> {
    cpuset("cpuset.cpus", &amounts.cpus, &machine.cpus, OUT_OF_RANGE)?;
    cpuset("cpuset.mems", &amounts.mems, &machine.mems, INVALID)?;
    if amounts.shares != 0 && !(2..=262_144).contains(&amounts.shares) {
        return refuse("cpu.weight", &amounts.shares.to_string(), INVALID);
    }
    let (quota, period) = (amounts.quota, amounts.period);
    let quota_is_wrong = quota < -1 || (1..1000).contains(&quota);
    if quota_is_wrong || (period != 0 && !(1000..=1_000_000).contains(&period)) {
        return refuse("cpu.max", &amounts.cpu_max(), INVALID);
    }
    if amounts.memory < -1 {
        return refuse("memory.max", &amounts.memory.to_string(), INVALID);
    }
    amounts.unified.iter().try_for_each(|(file, text)| unified(file, text, machine))
}

fn refuse(file: &str, text: &str, why: &str) -> Result<(), String> {
    Err(format!("failed to write {text:?}: write /sys/fs/cgroup/{file}: {why}"))
}

/// A list of the kernel; `None` when it is none.
fn list(text: &str) -> Option<BTreeSet<u32>> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let mut all = BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        // No machine has more; a longer range must not fill the memory of a test.
        if first > last || last > 65_535 {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

fn cpuset(file: &str, text: &str, there: &str, beyond: &str) -> Result<(), String> {
    let there = list(there).expect("a machine is a list of the kernel");
    match list(text) {
        _ if text.is_empty() => Ok(()),
        None => refuse(file, text, INVALID),
        Some(asked) if !asked.is_subset(&there) => refuse(file, text, beyond),
        Some(_) => Ok(()),
    }
}

fn unified(file: &str, text: &str, machine: &Machine) -> Result<(), String> {
    if file.contains('/') {
        return Err(format!("unified resource {file:?} must be a file name (no slashes)"));
    }
    let Some((controller, _)) = file.split_once('.') else {
        return Err(format!("unified resource {file:?} must be in the form CONTROLLER.PARAMETER"));
    };
    if !CONTROLLERS.contains(&controller) {
        return Err(format!("unified resource {file:?} can't be set: controller {controller:?} not available"));
    }
    let legal = match file {
        "cpuset.cpus" => return cpuset(file, text, &machine.cpus, OUT_OF_RANGE),
        "cpuset.mems" => return cpuset(file, text, &machine.mems, INVALID),
        "cpu.weight" => within(text, 1, 10_000),
        "cpu.idle" => within(text, 0, 1),
        "cpu.max" => bandwidth(text),
        "pids.max" => text == "max" || within(text, 0, 4_194_304),
        "io.weight" => within(text.strip_prefix("default ").unwrap_or(text), 1, 10_000),
        "memory.oom.group" => within(text, 0, 1),
        "memory.min" | "memory.low" | "memory.high" | "memory.max" | "memory.swap.high" | "memory.swap.max" => memory(text),
        _ => {
            let why = format!("openat2 /sys/fs/cgroup/{file}: no such file or directory");
            return Err(format!("unified resource {file:?} can't be set: {why}"));
        }
    };
    if legal { Ok(()) } else { refuse(file, text, INVALID) }
}

fn within(text: &str, least: u64, most: u64) -> bool {
    text.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
}

fn bandwidth(text: &str) -> bool {
    let (quota, period) = text.split_once(' ').unwrap_or((text, "100000"));
    (quota == "max" || within(quota, 1000, u64::MAX)) && within(period, 1000, 1_000_000)
}

fn memory(text: &str) -> bool {
    let digits = text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T']).unwrap_or(text);
    text == "max" || within(digits, 0, u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(amounts: &Amounts) -> Result<(), String> {
        start(amounts, &Machine::default())
    }

    #[test]
    fn what_the_kernel_refuses_is_refused_in_the_words_of_runc() {
        let amounts = Amounts::default;
        let cases = [
            (amounts().cpus("0-99"), "cpuset.cpus: numerical result out of range"),
            (amounts().cpus("x"), "cpuset.cpus: invalid argument"),
            (amounts().cpus("3-1"), "cpuset.cpus: invalid argument"),
            (Amounts { mems: "5".to_owned(), ..amounts() }, "cpuset.mems: invalid argument"),
            (Amounts { quota: 500, ..amounts() }, "cpu.max: invalid argument"),
            (Amounts { quota: -2, ..amounts() }, "cpu.max: invalid argument"),
            (Amounts { shares: 1, ..amounts() }, "cpu.weight: invalid argument"),
            (amounts().unified("foo.bar", "1"), "unified resource \"foo.bar\" can't be set: controller \"foo\" not available"),
            (amounts().unified("memory.nosuch", "1"), "no such file or directory"),
            (amounts().unified("memory.high", "abc"), "memory.high: invalid argument"),
            (amounts().unified("cpu.max", "500"), "cpu.max: invalid argument"),
            (amounts().unified("", "1"), "unified resource \"\" must be"),
            (amounts().unified("../memory.high", "1"), "no slashes"),
        ];
        for (amounts, words) in cases {
            let refused = verdict(&amounts).expect_err(words);
            assert!(refused.contains(words), "{amounts:?}: {refused}");
        }
    }

    #[test]
    fn what_the_kernel_takes_is_taken() {
        let amounts = Amounts { mems: "0-1".to_owned(), quota: -1, ..Amounts::cpu(500, 0) }.cpus("0,2-3,7").memory(-1);
        let files = [("memory.high", "64M"), ("memory.low", "0"), ("cpu.idle", "1"), ("cpu.max", "max 100000"), ("pids.max", "max")];
        let amounts = files.into_iter().fold(amounts, |amounts, (file, text)| amounts.unified(file, text));
        assert_eq!(verdict(&amounts), Ok(()));
    }
}
