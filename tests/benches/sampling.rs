//! What a sample costs over the bare reading of the files that it reads: both read the very same files on descriptors that stay open.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_host::clock;
use gleaner_host::sampler::{SamplerCore, Target};
use gleaner_tests::bench::{OwnCgroup, Pair, info, pending, within};
use gleaner_tests::program;
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const CONTAINERS: usize = 110;
const ROUNDS: u32 = 300;
const BUDGET: f64 = 1.5;

fn main() {
    if let Err(error) = measure() {
        pending("sampling, over plain pread", &format!("at most {BUDGET}"), &error.to_string());
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let mut own = OwnCgroup::make()?;
    let mut core = SamplerCore::new(own.layout().clone());
    core.set_targets(fill(&mut own)?);
    let files = opened_by(|| drop(core.take(clock::now())))?;
    let bytes = files.iter().map(Plain::read).sum::<io::Result<usize>>()?;

    let pair = Pair::run(ROUNDS, || core.take(clock::now()), || files.iter().map(Plain::read).sum::<io::Result<usize>>());
    info("sampling, files", &format!("{} of {CONTAINERS} containers and the node, {bytes} bytes", files.len()));
    info("sampling, one sample", &pair.a.spread("us"));
    info("sampling, plain pread", &pair.b.spread("us"));
    within("sampling, over plain pread", pair.ratio(), BUDGET, "times");
    Ok(())
}

/// Containers with one sleeping process each.
fn fill(own: &mut OwnCgroup) -> Result<Vec<Target>, Box<dyn Error>> {
    let mut targets = Vec::new();
    for number in 0..CONTAINERS {
        let cgroup = own.add(&format!("pod{number}/main"))?;
        own.run(&cgroup, &program("workload"), &["sleep"])?;
        targets.push(Target { pod: format!("pod{number}").parse()?, container: "main".parse()?, cgroup });
    }
    Ok(targets)
}

/// The kernel's files that an action opens and leaves open, opened once more.
fn opened_by(action: impl FnOnce()) -> io::Result<Vec<Plain>> {
    let before = descriptors()?;
    action();
    let after = descriptors()?;
    let mut opened: Vec<_> = after.into_iter().filter(|path| !before.contains(path)).collect();
    opened.sort();
    opened.into_iter().map(Plain::open).collect()
}

fn descriptors() -> io::Result<Vec<PathBuf>> {
    let all = std::fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    // The descriptor that lists this folder is among them, and names a folder.
    Ok(all.filter(|path| (path.starts_with("/proc") || path.starts_with("/sys")) && path.is_file()).collect())
}

/// One file, read as cheaply as it can be.
struct Plain {
    file: File,
    /// Printed in records: only an empty read is its end.
    records: bool,
}

impl Plain {
    fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self { records: path.ends_with("zoneinfo"), file: File::open(path)? })
    }

    fn read(&self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let mut length = 0;
        loop {
            let count = self.file.read_at(&mut buffer, u64::try_from(length).unwrap_or(u64::MAX))?;
            length += count;
            if count == 0 || !self.records {
                break;
            }
        }
        std::hint::black_box(&buffer);
        Ok(length)
    }
}
