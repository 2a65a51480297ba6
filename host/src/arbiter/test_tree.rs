//! A cgroup tree of a test's own in the kernel, removed with everything in it when the test ends, however it ends.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use crate::cgroup::knob::locate;
use crate::cgroup::{Controller, Layout, Version, within};
use gleaner_model::{CgroupPath, KnobId, KnobKind, KnobValue};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

pub(super) struct TestTree {
    pub(super) layout: Layout,
    pub(super) root: CgroupPath,
    /// For the journal.
    pub(super) files: tempfile::TempDir,
}

impl TestTree {
    /// `None`, and a line that says why, where the kernel's v1 hierarchies cannot be written.
    pub(super) fn new(test: &str) -> Option<Self> {
        let layout = match Layout::detect() {
            Ok(layout) => layout,
            Err(error) => return skip(test, &error.to_string()),
        };
        for controller in [Controller::Cpu, Controller::Cpuset, Controller::Memory] {
            if layout.version(controller) != Some(Version::V1) {
                return skip(test, &format!("{controller} is not on cgroup v1"));
            }
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root: CgroupPath = format!("/gleaner-test-{}-{number}", std::process::id()).parse().unwrap();
        let probe = layout.dir(Controller::Cpu, &root).unwrap();
        if let Err(error) = fs::create_dir(&probe) {
            return skip(test, &format!("cannot make {}: {error}", probe.display()));
        }
        fs::remove_dir(&probe).unwrap();
        Some(Self { layout, root, files: tempfile::tempdir().unwrap() })
    }

    pub(super) fn path(&self, child: &str) -> CgroupPath {
        child.split('/').fold(self.root.clone(), |path, part| path.join(part).unwrap())
    }

    pub(super) fn journal(&self) -> std::path::PathBuf {
        self.files.path().join("journal")
    }

    /// The texts of a knob as the kernel shows them.
    pub(super) fn text(&self, cgroup: &CgroupPath, kind: KnobKind) -> String {
        let place = locate(&self.layout, &KnobId { cgroup: cgroup.clone(), kind }).unwrap();
        place.read().unwrap().unwrap().join(" ")
    }
}

fn skip(test: &str, reason: &str) -> Option<TestTree> {
    eprintln!("SKIP {test}: {reason}");
    None
}

impl Drop for TestTree {
    fn drop(&mut self) {
        for mount in self.layout.hierarchies() {
            remove_all(&within(&mount, &self.root));
        }
    }
}

fn remove_all(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_all(&entry.path());
        }
    }
    // A cgroup that is gone already is fine.
    let _ = fs::remove_dir(dir);
}

pub(super) fn cpus(text: &str) -> KnobValue {
    KnobValue::Cpus(text.parse().unwrap())
}
