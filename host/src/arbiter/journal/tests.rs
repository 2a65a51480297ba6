#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use super::*;
use crate::arbiter::records::{First, MadeDir};
use gleaner_model::{KnobId, KnobKind};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;

fn tree() -> CgroupPath {
    "/kubepods".parse().unwrap()
}

fn first(name: &str) -> Entry {
    let knob = KnobId { cgroup: tree().join(name).unwrap(), kind: KnobKind::CpuShares };
    Entry::First { knob, first: First { inode: 7, files: vec![("cpu.shares".into(), "300".into())] } }
}

/// A journal with the entries for `a`, `b` and `c`.
fn written(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("journal");
    let (mut journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    for name in ["a", "b", "c"] {
        journal.append(vec![first(name)]).unwrap();
    }
    path
}

fn names(journal: &Journal) -> Vec<String> {
    journal.records().first.keys().map(|id| id.cgroup.name().to_owned()).collect()
}

#[test]
fn entries_come_back_and_the_file_is_the_owners_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let (journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
    assert_eq!((names(&journal), warnings), (vec!["a".into(), "b".into(), "c".into()], vec![]));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_last_line_that_was_cut_short_is_dropped_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 5]).unwrap();
    let (mut journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
    assert_eq!((names(&journal), warnings), (vec!["a".into(), "b".into()], vec![]));
    journal.append(vec![first("d")]).unwrap();
    let (journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
    assert_eq!((names(&journal), warnings), (vec!["a".into(), "b".into(), "d".into()], vec![]));
}

#[test]
fn a_damaged_line_is_passed_over_and_the_file_kept_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let damaged = fs::read_to_string(&path).unwrap().replace("/kubepods/b", "kubepods/b");
    fs::write(&path, &damaged).unwrap();
    let (journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
    let kept = dir.path().join("journal.damaged-1");
    assert_eq!(names(&journal), ["a", "c"]);
    assert_eq!(warnings, [format!("journal {}: 1 damaged lines passed over; kept as {}", path.display(), kept.display())]);
    assert_eq!(fs::read_to_string(kept).unwrap(), damaged);
    let (journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
    assert_eq!((names(&journal), warnings), (vec!["a".into(), "c".into()], vec![]));
}

#[test]
fn a_journal_of_another_boot_or_program_is_set_aside() {
    for (boot, tree, text, expected) in [
        ("later", tree(), None, "written before the last boot"),
        ("boot", tree(), Some("{}\n"), "no journal of gleaner"),
        ("boot", tree(), Some("{\"gleaner_journal\":2,\"boot\":\"boot\",\"tree\":\"/kubepods\"}\n"), "has version 2, this program knows 1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir);
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let (mut journal, warnings) = Journal::open(&path, boot, &tree).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{expected}: {warnings:?}");
        assert!(names(&journal).is_empty() && dir.path().join("journal.damaged-1").exists());
        journal.append(vec![first("n")]).unwrap();
        assert_eq!(names(&Journal::open(&path, boot, &tree).unwrap().0), ["n"]);
    }
}

#[test]
fn compacting_keeps_what_is_left_and_later_entries_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let (mut journal, _) = Journal::open(&path, "boot", &tree()).unwrap();
    journal.compact(|records| records.forget(&tree().join("b").unwrap())).unwrap();
    let dirs = vec![MadeDir { dir: "/x".into(), inode: None }];
    journal.append(vec![Entry::Created { cgroup: tree(), dirs: dirs.clone() }]).unwrap();
    let dirs: Vec<MadeDir> = dirs.into_iter().map(|made| MadeDir { inode: Some(4), ..made }).collect();
    journal.append(vec![Entry::Created { cgroup: tree(), dirs: dirs.clone() }]).unwrap();
    let (journal, _) = Journal::open(&path, "boot", &tree()).unwrap();
    assert_eq!((names(&journal), journal.records().created.get(&tree())), (vec!["a".into(), "c".into()], Some(&dirs)));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 5);
}

#[test]
fn a_folder_or_link_in_its_place_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Journal::open(dir.path(), "boot", &tree()).is_err());
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("target"), &link).unwrap();
    assert!(Journal::open(&link, "boot", &tree()).is_err());
}

proptest! {
    #[test]
    fn any_cut_and_any_changed_byte_opens(cut in 0usize..700, at in 0usize..700, byte: u8) {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir);
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(cut);
        if let Some(b) = bytes.get_mut(at) {
            *b = byte;
        }
        fs::write(&path, &bytes).unwrap();
        let (mut journal, _) = match Journal::open(&path, "boot", &tree()) {
            // A changed byte in the name of the tree cannot be told from another tree.
            Err(HostError::OtherTree { .. }) => return Ok(()),
            opened => opened.unwrap(),
        };
        journal.append(vec![first("last")]).unwrap();
        let (journal, warnings) = Journal::open(&path, "boot", &tree()).unwrap();
        prop_assert_eq!(warnings, Vec::<String>::new());
        prop_assert!(names(&journal).contains(&"last".to_owned()));
    }
}

#[test]
fn a_journal_of_another_tree_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let before = fs::read(&path).unwrap();
    let error = Journal::open(&path, "boot", &"/other".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("is about the cgroup tree /kubepods, not /other"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(tree_of(&path), Some(tree()));
    assert_eq!(tree_of(&dir.path().join("none")), None);
}

#[test]
fn a_file_of_entries_that_are_over_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir);
    let (mut journal, _) = Journal::open(&path, "boot", &tree()).unwrap();
    let pod = tree().join("pod").unwrap();
    for _ in 0..2000 {
        let dirs = vec![MadeDir { dir: "/some/folder/of/a/hierarchy".into(), inode: Some(4) }];
        journal.append(vec![Entry::Created { cgroup: pod.clone(), dirs }, Entry::Removed { cgroup: pod.clone() }]).unwrap();
    }
    let length = fs::metadata(&path).unwrap().len();
    assert!(length <= REWRITE_FROM + 1024, "{length} bytes");
    assert_eq!(names(&Journal::open(&path, "boot", &tree()).unwrap().0), names(&journal));
}
