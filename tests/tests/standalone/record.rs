//! Recordings of a running agent, and their replay.

use gleaner_tests::{Node, Pod, poll_until, program, slow};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn replay(files: &[&Path], flags: &[&str]) -> Output {
    Command::new(program("gleaner")).arg("replay").args(files).args(flags).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `gleaner replay --json` says of files in which nothing is decided otherwise.
fn report(files: &[&Path], flags: &[&str]) -> Value {
    let output = replay(files, &[&["--json"], flags].concat());
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A node that records, with pods of every class.
fn recording(test: &str, settings: &str) -> Option<(Node, PathBuf)> {
    let node = Node::new(test)?;
    let more = format!("placement: {{overlapShare: true}}\nrecord: {{flushAfter: 1s{settings}}}\n");
    node.configure(&format!("samplingPeriod: 200ms\nestimator: {{risePerSecond: 100%, cpuReserve: 0, memoryReserve: 64Mi}}\n{more}"));
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web").request("cpu", "100m").runs("workload tide --period 2 --low 5 --high 60"));
    node.add(&Pod::reclaimed("batch", 20));
    let file = node.path("rec");
    Some((node, file))
}

fn start(node: &mut Node, file: &Path) {
    node.start_with(&["--record", file.to_str().unwrap()]);
    node.running(&["db", "web", "batch"]);
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

#[test]
fn what_was_recorded_is_decided_the_same_again_beside_other_policies() {
    let test = "what_was_recorded_is_decided_the_same_again_beside_other_policies";
    let Some((mut node, file)) = recording(test, "") else { return };
    start(&mut node, &file);
    node.ticks(10);
    assert_eq!(node.stop(Signal::SIGTERM).code, Some(0), "{}", node.log());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let told = report(&[&file], &["--policy", "canonical", "--policy", "usage-margin", "--horizon", "10s"]);
    for check in ["estimates", "placements", "evictions"] {
        let check = &told[check];
        assert!(check["replayed"].as_u64() > Some(0) && check["replayed"] == check["identical"], "{told:#}");
    }
    assert!(told["ticks"].as_u64() >= Some(10), "{told:#}");
    let policies: Vec<&str> = told["policies"].as_array().unwrap().iter().map(|row| row["policy"].as_str().unwrap()).collect();
    assert_eq!(policies[1..], ["canonical", "usage-margin"], "{told:#}");
    assert_eq!(told["notes"], Value::from(Vec::<Value>::new()), "{told:#}");
    let page = text(&replay(&[&file], &["--policy", "canonical"]).stdout);
    let rows = [" ticks, ", " identical\n", "(recorded)", "\ncanonical ", "VIOLATIONS"];
    assert!(rows.iter().all(|part| page.contains(part)), "{page}");
}

#[test]
fn an_agent_that_is_killed_loses_the_last_moments_of_its_recording_only() {
    let Some((mut node, file)) = recording("an_agent_that_is_killed_loses_the_last_moments_of_its_recording_only", "") else { return };
    start(&mut node, &file);
    poll_until("a part is on disk", || (length(&file) > 0).then_some(()));
    node.ticks(8);
    node.kill();
    let first = report(&[&file], &[]);
    assert!(first["ticks"].as_u64() >= Some(3), "{first:#}");
    // The next agent goes on in the same file.
    start(&mut node, &file);
    node.ticks(8);
    node.stop(Signal::SIGTERM);
    let both = report(&[&file], &["--policy", "canonical"]);
    assert!(both["ticks"].as_u64().unwrap() >= first["ticks"].as_u64().unwrap() + 8, "{both:#}");
}

#[test]
fn files_are_rotated_and_each_can_be_replayed_alone() {
    let Some((mut node, file)) = recording("files_are_rotated_and_each_can_be_replayed_alone", ", maxSize: 64Ki, keep: 2") else { return };
    // Many names make long lines.
    for n in 0..12 {
        node.add(&Pod::shared(&format!("filler-{n}")).annotation("example.com/none", "none"));
    }
    node.configure("samplingPeriod: 100ms\nplacement: {overlapShare: true}\nrecord: {flushAfter: 1s, maxSize: 64Ki, keep: 2}\n");
    node.start_with(&["--record", file.to_str().unwrap()]);
    let older = [1, 2].map(|n| node.path(&format!("rec.{n}")));
    poll_until("the second file is rotated", || older[1].exists().then_some(()));
    node.stop(Signal::SIGTERM);
    let files = [file.as_path(), &older[0], &older[1]];
    let mut ticks = 0;
    for each in files {
        assert!(length(each) <= 64 << 10, "{} has {} bytes", each.display(), length(each));
        ticks += report(&[each], &[])["ticks"].as_u64().unwrap();
    }
    assert!(!node.path("rec.3").exists());
    let all = report(&files, &["--policy", "canonical"]);
    assert_eq!(all["ticks"].as_u64(), Some(ticks), "{all:#}");
    // A machine that emulates its CPUs does not pack ten ticks a second, and what was not packed is said to be missing.
    assert!(all["missing"] == 0 || slow() > 1, "{all:#}");
}

#[test]
fn a_damaged_recording_is_replayed_up_to_the_damage_and_what_is_none_is_refused() {
    let test = "a_damaged_recording_is_replayed_up_to_the_damage_and_what_is_none_is_refused";
    let Some((mut node, file)) = recording(test, "") else { return };
    start(&mut node, &file);
    poll_until("two parts are on disk", || (length(&file) > 4000).then_some(()));
    node.ticks(8);
    node.stop(Signal::SIGTERM);
    let whole = report(&[&file], &[])["ticks"].as_u64().unwrap();
    let bytes = fs::read(&file).unwrap();
    let cut = node.path("cut");
    put(&cut, &bytes[..bytes.len() - 10]);
    let told = report(&[&cut], &[]);
    assert!(told["ticks"].as_u64() <= Some(whole), "{told:#}");
    assert!(told["notes"][0].as_str().unwrap().contains("cannot be read beyond this line"), "{told:#}");
    put(&cut, b"no recording\n");
    let refused = replay(&[&cut], &[]);
    assert_eq!(refused.status.code(), Some(65), "{}", text(&refused.stderr));
    let unknown = replay(&[&file], &["--policy", "best"]);
    let line = text(&unknown.stderr);
    assert!(line.contains("\"best\"") && line.contains("usage-margin") && line.lines().count() == 1, "{line}");
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(64), 0));
    let link = node.path("link");
    symlink(&file, &link).unwrap();
    let twice = replay(&[&file, &link], &[]);
    assert_eq!((twice.status.code(), text(&twice.stderr).contains("link: is given twice")), (Some(65), true), "{}", text(&twice.stderr));
    let full = Command::new(program("gleaner")).arg("replay").arg(&file).stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!((full.status.code(), text(&full.stderr).lines().count()), (Some(1), 1), "{}", text(&full.stderr));
    let gone = replay(&[&node.path("gone")], &[]);
    assert_eq!(gone.status.code(), Some(65), "{}", text(&gone.stderr));
}

#[test]
fn what_may_not_be_recorded_into_is_left_alone_and_the_agent_runs() {
    let Some((mut node, file)) = recording("what_may_not_be_recorded_into_is_left_alone_and_the_agent_runs", "") else { return };
    let victim = node.path("victim");
    put(&victim, b"kept");
    symlink(&victim, &file).unwrap();
    start(&mut node, &file);
    let problem = node.until("part record is degraded", |state| state["health"]["record"]["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("rec: is a symbolic link"), "{problem}");
    // Time for some parts that are lost.
    node.ticks(15);
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
    // Recording goes on as soon as it can.
    fs::remove_file(&file).unwrap();
    node.until("part record works", |state| state["health"]["record"]["problem"].is_null().then_some(()));
    node.stop(Signal::SIGTERM);
    let told = report(&[&file], &[]);
    assert!(told["missing"].as_u64() > Some(0), "{told:#}");
}

#[test]
fn a_full_disk_stops_no_pod_and_recording_goes_on_when_there_is_room() {
    let test = "a_full_disk_stops_no_pod_and_recording_goes_on_when_there_is_room";
    let Some((mut node, _)) = recording(test, "") else { return };
    let Some(disk) = SmallDisk::at(&node.path("disk")) else {
        gleaner_tests::skip(test, "no small disk can be mounted here");
        return;
    };
    let file = node.path("disk/rec");
    start(&mut node, &file);
    poll_until("a part is on disk", || (length(&file) > 0).then_some(()));
    disk.fill();
    let problem = node.until("part record is degraded", |state| state["health"]["record"]["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("No space left on device"), "{problem}");
    node.add(&Pod::shared("late"));
    node.phase("late", "running");
    disk.empty();
    node.until("part record works", |state| state["health"]["record"]["problem"].is_null().then_some(()));
    node.stop(Signal::SIGTERM);
    let told = report(&[&file], &[]);
    assert!(told["missing"].as_u64() > Some(0), "{told:#}");
    drop(disk);
}

fn put(file: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::File::create(file).unwrap().write_all(bytes).unwrap();
}

/// A small disk at a folder, which is gone when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=700", "gleaner-test"]).arg(folder).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }

    fn fill(&self) {
        let mut full = fs::File::create(self.0.join("full")).unwrap();
        while std::io::Write::write_all(&mut full, &[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("full")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the agent may have files of it open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
