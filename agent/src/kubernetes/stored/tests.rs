#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::kubernetes::ApiPhase;
use gleaner_model::{KubeQos, Pod, PodName, QosClass, QosSpec};
use std::io::Write;

fn pod(uid: &str) -> ApiPod {
    ApiPod {
        pod: Pod {
            workload: None,
            uid: uid.parse().unwrap(),
            name: PodName { namespace: "ns".to_owned(), name: uid.to_owned() },
            qos: QosSpec::of(QosClass::Reclaimed),
            kube_qos: KubeQos::BestEffort,
            priority: 0,
            grace: Duration::from_secs(30),
            containers: Vec::new(),
        },
        api_uid: uid.to_owned(),
        problems: vec!["a".to_owned()],
        phase: ApiPhase::Running,
        deleting: false,
        is_static: true,
        container_ids: [("aa".to_owned(), "c".parse().unwrap())].into(),
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

#[test]
fn pods_outlive_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.json");
    assert_eq!(load(&file), (Vec::new(), None), "there is no file yet");
    let (a, b) = (pod("a"), pod("b"));
    let mut stored = PodsFile::new(file.clone());
    stored.change();
    stored.save([&b, &a], at(1)).unwrap();
    assert_eq!(load(&file), (vec![a, b], None));
}

#[test]
fn a_useless_file_is_set_aside_and_said() {
    for (content, part) in [
        (&b"{\"version\":1,\"po"[..], "is damaged"),
        (b"", "is damaged"),
        (b"{\"version\":2,\"pods\":[]}", "has version 2, not 1"),
        (b"{\"version\":1,\"pods\":[{}]}", "is damaged"),
        (b"{\"version\":1,\"pods\":[],\"more\":1}", "is damaged"),
        (b"\xff", "is not text"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pods.json");
        std::fs::File::create(&file).unwrap().write_all(content).unwrap();
        let (pods, warning) = load(&file);
        let warning = warning.unwrap();
        assert!(pods.is_empty() && warning.contains(part) && warning.contains("pods.json.damaged-1"), "{content:?}: {warning}");
        assert_eq!(load(&file), (Vec::new(), None), "it is not there any more");
    }
    let dir = tempfile::tempdir().unwrap();
    let warning = load(dir.path()).1.unwrap();
    assert!(warning.contains("is not a regular file"), "{warning}");
}

#[test]
fn a_write_is_due_after_a_change_and_five_seconds_after_the_last() {
    for (changed, tried, now, due) in [
        (false, None, 9, false),
        (true, None, 0, true),
        (true, Some(10), 14, false),
        (true, Some(10), 15, true),
        (false, Some(10), 99, false),
    ] {
        assert_eq!(is_due(changed, tried.map(at), at(now)), due, "changed: {changed}, tried: {tried:?}, now: {now}");
    }
}

#[test]
fn what_the_file_holds_already_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pods.json");
    let mut stored = PodsFile::new(file.clone());
    stored.change();
    stored.save([&pod("a")], at(1)).unwrap();
    std::fs::remove_file(&file).unwrap();
    stored.save([&pod("b")], at(20)).unwrap();
    assert!(!file.exists(), "nobody said that something changed");
    stored.change();
    stored.save([&pod("a")], at(30)).unwrap();
    assert!(!file.exists(), "nothing changed in the end");
    stored.change();
    stored.save([&pod("b")], at(34)).unwrap();
    assert!(!file.exists(), "too early");
    stored.save([&pod("b")], at(35)).unwrap();
    assert!(file.exists(), "a change that came too early is not forgotten");
}

#[test]
fn a_write_that_failed_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    let mut stored = PodsFile::new(folder.join("pods.json"));
    stored.change();
    assert!(stored.save([&pod("a")], at(1)).is_err());
    std::fs::create_dir(&folder).unwrap();
    stored.save([&pod("a")], at(6)).unwrap();
    assert_eq!(load(&folder.join("pods.json")).0, [pod("a")]);
}
