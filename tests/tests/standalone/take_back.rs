//! Reclaimed pods that hold more memory than they may.

use gleaner_host::reclaim;
use gleaner_model::Bytes;
use gleaner_tests::{Node, Pod, PodFiles, pod_state, poll_until, skip};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;
/// What the pods take in, of the 64 MiB that they were promised.
const TAKEN: u64 = 48 * MIB;
/// What they may hold in the end, as a share in percent. The kernel takes back more than it is asked for, in batches of up to 16 MiB; so there
/// is still something to ask for when the bound alone has taken back some.
const TENTH: u32 = 10;

/// A reclaimed pod may hold this share of 64 MiB. Nobody is evicted, should another test use up the memory of the machine.
fn allowing(share: u32) -> String {
    format!(
        "samplingPeriod: 500ms\nestimator: {{risePerSecond: 100%, cpuReserve: 0, memoryReserve: 64Mi, \
         composite: {{windows: [], warmUp: 0s}}, headroom: {{fragments: {{cpu: 0, memory: 0}}}}}}\nplacement: {{overlapShare: true}}\n\
         knobs: {{memoryHigh: {share}%, memoryFloor: 4Mi}}\neviction: {{memoryBudget: 0, cpuBudget: 0}}\n"
    )
}

/// Whether files there have a page cache that the kernel can give up: those in memory have none without swap.
fn on_disk(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let holds = |line: &&str| line.split(' ').nth(1).is_some_and(|at| path.starts_with(at));
    let longest = mounts.lines().filter(holds).max_by_key(|line| line.split(' ').nth(1).map(str::len));
    longest.and_then(|line| line.split(' ').nth(2)).is_some_and(|kind| !matches!(kind, "tmpfs" | "ramfs"))
}

/// Files of 48 MiB together that are on a disk and not in memory, so that who reads them is charged for them: one of our own, else those
/// of the system.
fn files_to_read(node: &Node) -> Option<Vec<PathBuf>> {
    let own = node.path("cache");
    let files = if on_disk(&own) {
        let mut file = File::create(&own).unwrap();
        for _ in 0..TAKEN / MIB {
            file.write_all(&[1; 1 << 20]).unwrap();
        }
        file.sync_all().unwrap();
        vec![own]
    } else {
        system_files().filter(|_| on_disk(Path::new("/usr")))?
    };
    for file in &files {
        let open = File::open(file).unwrap();
        posix_fadvise(&open, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    }
    Some(files)
}

/// Large files that nobody runs: what is mapped stays in memory, charged to who had it first.
fn system_files() -> Option<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    let mut waiting: Vec<PathBuf> = ["/usr/lib/modules", "/usr/share", "/usr/lib", "/usr/bin"].map(PathBuf::from).to_vec();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => waiting.push(entry.path()),
                Ok(meta) if meta.is_file() && meta.len() >= MIB / 4 => found.push((meta.len(), entry.path())),
                _ => {}
            }
        }
    }
    found.sort();
    found.dedup();
    let mut sum = 0;
    // The one that reaches the amount is still taken.
    let enough = found.into_iter().rev().filter(|(size, _)| *size <= TAKEN / 4).take_while(|(size, _)| {
        let more = sum < TAKEN;
        sum += size;
        more
    });
    let files = enough.map(|(_, file)| file).collect();
    (sum >= TAKEN).then_some(files)
}

/// A pod that reads the files once and then sleeps.
fn reader(node: &Node, files: &[PathBuf]) -> Pod {
    let script = node.path("read.sh");
    let list: String = files.iter().map(|file| format!("head -c {TAKEN} {} >/dev/null\n", file.display())).collect();
    let mut file = File::create(&script).unwrap();
    file.write_all(format!("{list}echo all is read\nexec workload sleep\n").as_bytes()).unwrap();
    Pod::reclaimed("batch", 20).runs(&format!("sh {}", script.display()))
}

fn held(node: &Node, files: &PodFiles) -> u64 {
    reclaim::usage(node.layout(), &files.pod).unwrap().unwrap().get()
}

/// The numbers of the first time that memory was taken back from the pod.
fn taken_back(state: &Value) -> Option<Value> {
    let decisions = pod_state(state, "batch")?["decisions"].as_array()?;
    decisions.iter().map(|decision| &decision["reason"]).find(|reason| reason["kind"] == "memory_taken_back").cloned()
}

/// A pod that holds what it read, with its processes; `None`, and a line that says why, where this machine cannot have one.
fn with_cache(test: &str, flags: &[&str]) -> Option<(Node, PodFiles, Vec<i32>)> {
    let mut node = Node::new(test)?;
    let Some(files) = files_to_read(&node) else {
        skip(test, "no disk here has files whose page cache could be given back");
        return None;
    };
    node.configure(&allowing(100));
    node.add(&reader(&node, &files));
    node.start_with(flags);
    let pod = node.running(&["batch"]).remove(0);
    poll_until("all is read", || node.container_log("batch").contains("all is read").then_some(()));
    if reclaim::means(node.layout(), &pod.pod).is_none() {
        skip(test, "the kernel cannot be asked for memory");
        return None;
    }
    let now = held(&node, &pod);
    if now < TAKEN * 3 / 4 {
        skip(test, &format!("only {} MiB of the files are charged to the pod: others had them before", now / MIB));
        return None;
    }
    let pids = node.kernel().pids(&pod.pod);
    Some((node, pod, pids))
}

/// Lets reclaimed pods hold less from now on.
fn squeeze(node: &Node, share: u32) {
    node.configure(&allowing(share));
    node.signal(Signal::SIGHUP);
}

#[test]
fn page_cache_of_a_reclaimed_pod_above_its_figure_is_taken_back() {
    let Some((mut node, pod, pids)) = with_cache("page_cache_of_a_reclaimed_pod_above_its_figure_is_taken_back", &[]) else { return };
    let before = held(&node, &pod);
    node.ticks(2);
    let early = node.state().as_ref().and_then(taken_back);
    assert!(early.as_ref().is_none_or(|reason| reason["allowed"] != "64Mi"), "a pod within its figure keeps its cache: {early:?}");
    squeeze(&node, TENTH);
    let reason = node.until("memory is taken back", taken_back);
    poll_until("the pod holds what it may", || (held(&node, &pod) <= 12 * MIB).then_some(()));
    eprintln!("{before} -> {} bytes: {reason}", held(&node, &pod));
    let [asked, before, allowed] = ["asked", "before", "allowed"].map(|key| reason[key].as_str().unwrap().parse::<Bytes>().unwrap());
    assert!(allowed < before && !asked.is_zero() && asked <= before.minus(allowed), "{reason}");
    let counted = |state: &Value| state["decision_counts"]["memory_taken_back"].as_u64().filter(|count| *count >= 1);
    node.until("it is counted", counted);
    assert_eq!(node.kernel().pids(&pod.pod), pids, "nobody was killed or started again");
    let explained = node.run("explain", &["batch"]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains("of memory to be taken back: "), "{text}");
}

#[test]
fn memory_that_cannot_be_had_is_asked_for_and_left() {
    let test = "memory_that_cannot_be_had_is_asked_for_and_left";
    let mut swap = String::new();
    if File::open("/proc/swaps").and_then(|mut file| file.read_to_string(&mut swap)).is_ok() && swap.lines().count() > 1 {
        return skip(test, "with swap the kernel can take everything back");
    }
    let Some(mut node) = Node::new(test) else { return };
    node.configure(&allowing(100));
    node.add(&Pod::reclaimed("batch", 20).runs("workload memory --start 48Mi --step 0 --every 1000 --max 48Mi"));
    node.start();
    let pod = node.running(&["batch"]).remove(0);
    poll_until("the memory is held", || node.container_log("batch").contains("held=").then_some(()));
    if reclaim::means(node.layout(), &pod.pod).is_none() {
        return skip(test, "the kernel cannot be asked for memory");
    }
    let pids = node.kernel().pids(&pod.pod);
    squeeze(&node, TENTH);
    let reason = node.until("memory is asked for", taken_back);
    let at = node.state().and_then(|state| state["decision_counts"]["memory_taken_back"].as_u64()).unwrap();
    // Half a second each; it is left alone for ten seconds.
    node.ticks(4);
    let state = node.state().unwrap();
    let again = state["decision_counts"]["memory_taken_back"].as_u64().unwrap();
    assert!(again <= at + 1, "asked {again} times: {reason}");
    assert!(held(&node, &pod) >= TAKEN, "{reason}");
    assert_eq!(node.kernel().pids(&pod.pod), pids, "nobody was killed: {reason}");
    assert_eq!(node.kernel().memory_max(&pod.pod), Some(64 * MIB), "never below what is held: {reason}");
}

#[test]
fn in_shadow_mode_it_is_only_said_what_would_be_taken_back() {
    let test = "in_shadow_mode_it_is_only_said_what_would_be_taken_back";
    let Some((mut node, pod, _)) = with_cache(test, &["--shadow"]) else { return };
    squeeze(&node, TENTH);
    let reason = node.until("it is said", taken_back);
    assert_eq!((&reason["outcome"], &reason["after"]), (&Value::from("would"), &Value::Null), "{reason}");
    node.ticks(2);
    assert!(held(&node, &pod) >= TAKEN * 3 / 4, "nothing is written: {reason}");
}
