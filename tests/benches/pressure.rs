//! From memory pressure to the event that makes the agent act. What comes after the event is one sample and one tick, which the benches
//! `sampling` and `tick` measure.
//!
//! Pressure is made in a small cgroup of its own: most of its memory is held, and the rest is too little for the page cache of what reads
//! a file again and again. A pressure file tells when the kernel had counted as much stall as the trigger asks for; taken is the last look
//! that still showed less, so the figure is at most one look too large. The file is that of the cgroup above, which holds nothing else, and
//! the looks are several of the kernel's timer ticks apart, since reading is not free of effects (`kernel/sched/psi.c`): `psi_show` takes
//! away the events of triggers set without `CAP_SYS_RESOURCE`, and `collect_percpu_times` drops stalls of periods shorter than a tick.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_host::cgroup::{Controller, Version};
use gleaner_host::clock;
use gleaner_host::psi::{self, Trigger, Watcher};
use gleaner_model::{CgroupPath, Timestamp};
use gleaner_tests::bench::{OwnCgroup, Series, info, pending, watch, within};
use gleaner_tests::program;
use std::error::Error;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const NAME: &str = "pressure, trigger to event";
const BUDGET_MS: f64 = 200.0;
const LIMIT: u64 = 48 << 20;
const ROUNDS: u32 = 5;
const LOOK: Duration = Duration::from_millis(40);

/// Stall and window. The kernel looks ten times a window, but only every 2 s for a process without `CAP_SYS_RESOURCE`, from which it
/// takes no other windows than multiples of that.
const SHORT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
const LONG: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(2000));

fn main() {
    let done = rounds(SHORT).and_then(|outcome| match outcome {
        Ok(series) => {
            info("pressure, 50 ms in 500 ms", &series.spread("ms"));
            within(NAME, series.median(), BUDGET_MS, "ms");
            Ok(())
        }
        Err(refused) => {
            pending(NAME, "at most 200 ms", &refused);
            let series = rounds(LONG)??;
            info("pressure, 50 ms in 2 s, the fallback", &series.spread("ms"));
            Ok(())
        }
    });
    if let Err(error) = done {
        pending(NAME, "at most 200 ms", &error.to_string());
    }
}

/// Milliseconds of each round; inside, the kernel's answer when it refuses the trigger.
fn rounds(trigger: (Duration, Duration)) -> Result<Result<Series, String>, Box<dyn Error>> {
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        match round(trigger)? {
            Ok(took) => taken.push(took.as_secs_f64() * 1000.0),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(Ok(Series::new(taken)))
}

fn round((stall, window): (Duration, Duration)) -> Result<Result<Duration, String>, Box<dyn Error>> {
    let mut own = OwnCgroup::make()?;
    let path = own.add("tight")?;
    limit(&own, &path)?;
    let parent = path.parent().ok_or("a cgroup of our own is never the root")?;
    let pressure = |cgroup| own.layout().unified_dir(cgroup).map(|dir| dir.join("memory.pressure"));
    let missing = "there is no cgroup2 mount, and PSI of a cgroup lives there";
    let (file, above) = pressure(&path).zip(pressure(&parent)).ok_or(missing)?;
    let (sender, fired) = channel();
    let trigger = Trigger { name: "tight".to_owned(), file, full: false, stall, window };
    let (_watcher, refused) = Watcher::start(vec![trigger], move |event| {
        // Only the first event counts; by the second nobody may listen any more.
        let _ = sender.send(event.at);
    })?;
    if let Some((_, error)) = refused.first() {
        return Ok(Err(error.to_string()));
    }
    let scratch = tempfile::tempdir()?;
    let wanted = total(&above)? + u64::try_from(stall.as_micros())?;
    squeeze(&mut own, &path, &scratch.path().join("data"))?;
    delay(&above, wanted, &fired).map(Ok)
}

/// Bounds the memory, and takes swap away where that is another bound.
fn limit(own: &OwnCgroup, path: &CgroupPath) -> Result<(), Box<dyn Error>> {
    let file = match own.layout().version(Controller::Memory) {
        Some(Version::V1) => "memory.limit_in_bytes",
        Some(Version::V2) => "memory.max",
        None => return Err("there is no memory controller".into()),
    };
    if own.put(path, file, &LIMIT.to_string())? == 0 {
        return Err(format!("{file} is not there").into());
    }
    own.put(path, "memory.swap.max", "0")?;
    Ok(())
}

/// Holds three quarters of the memory; the rest is fought for by readers of a file that is larger than all of it. The file is written
/// inside the cgroup, so that its page cache is charged there.
fn squeeze(own: &mut OwnCgroup, path: &CgroupPath, data: &Path) -> Result<(), Box<dyn Error>> {
    let held = (LIMIT / 4 * 3).to_string();
    let hold = ["memory", "--start", held.as_str(), "--step", "1", "--every", "1000", "--max", held.as_str()];
    own.run(path, &program("workload"), &hold)?;
    let data = data.to_str().ok_or("the temporary folder's name is no text")?;
    let script = "dd if=/dev/zero of=\"$0\" bs=1M count=128; for i in 1 2 3 4; do while :; do cat \"$0\"; done & done; wait";
    own.run(path, Path::new("sh"), &["-c", script, data])?;
    Ok(())
}

/// All stall that the kernel has counted, in microseconds.
fn total(file: &Path) -> Result<u64, Box<dyn Error>> {
    Ok(psi::parse(&std::fs::read_to_string(file)?)?.some.total_us)
}

/// How long after the kernel had counted this much stall the event came. Zero when the event is older than the look that showed it.
fn delay(file: &Path, wanted: u64, fired: &Receiver<Timestamp>) -> Result<Duration, Box<dyn Error>> {
    let (mut before, mut reached, mut event) = (clock::now(), false, None);
    let ended = watch(Duration::from_secs(30), LOOK, || {
        let look = clock::now();
        match total(file) {
            Ok(total) => reached |= total >= wanted,
            Err(error) => return Some(Err(error)),
        }
        if !reached {
            before = look;
        }
        event = event.or_else(|| fired.try_recv().ok());
        event.filter(|_| reached).map(|event| Ok(event.since(before)))
    });
    let missing =
        if reached { "there was pressure, but no event within 30 s" } else { "the workload made too little pressure within 30 s" };
    ended.unwrap_or_else(|| Err(missing.into()))
}
