#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use super::*;
use gleaner_model::{KubeQos, PodName, PoolName, QosClass, QosSpec};
use gleaner_qrm_plugins::{Amount, Claim, ContainerType, Parsed, PodIdentity, Request};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

fn claim(ledger: &mut Ledger, pod: &str, container: &str) {
    let request = Request {
        pod: PodIdentity {
            uid: pod.parse().unwrap(),
            name: PodName { namespace: "ns".to_owned(), name: pod.to_owned() },
            role: String::new(),
            kind: String::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            kube_qos: KubeQos::Burstable,
        },
        container: container.parse().unwrap(),
        kind: ContainerType::Main,
        index: 0,
        resource: "cpu".to_owned(),
        amount: Amount::new(1.5).unwrap(),
        whole_pod: None,
        hint: None,
        resizing: false,
    };
    let claim = Claim::of(&request);
    ledger.claim("cpu", &Parsed { request: &request, qos: &QosSpec::of(QosClass::Shared) }, claim);
}

fn two_pods() -> Ledger {
    let mut ledger = Ledger::default();
    claim(&mut ledger, "a", "main");
    claim(&mut ledger, "a", "log");
    claim(&mut ledger, "b.c", "ma.in");
    let mut assignment = ledger.assignment().clone();
    assignment.pools.insert(PoolName::share(), gleaner_model::Pool { cpus: "0-3".parse().unwrap(), mems: "0".parse().unwrap() });
    ledger.assign(assignment);
    ledger
}

fn stored(folder: &Path) -> Ledger {
    let ledger = two_pods();
    let mut claims = Claims::open(folder.to_owned()).unwrap();
    for pod in ledger.pods().keys() {
        claims.save(&ledger, pod).unwrap();
    }
    ledger
}

#[test]
fn what_was_promised_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = stored(dir.path());
    assert_eq!(Claims::open(dir.path().to_owned()).unwrap().load(), (ledger, Vec::new()));
}

#[test]
fn a_pod_that_is_forgotten_leaves_no_record() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path());
    let mut claims = Claims::open(dir.path().to_owned()).unwrap();
    claims.remove(&"a".parse().unwrap()).unwrap();
    claims.remove(&"a".parse().unwrap()).unwrap();
    let (ledger, warnings) = claims.load();
    assert_eq!((ledger.pods().len(), warnings.len()), (1, 0));
}

#[test]
fn a_damaged_record_is_set_aside_and_costs_only_its_container() {
    let table = [
        ("not JSON", "{", "is damaged"),
        ("empty, as after a loss of power", "", "is damaged"),
        ("of another version", "VERSION", "has version 9, not 1"),
        ("of another container", "NAME", "is of container other of pod a"),
        ("with a key that this version does not know", "KEY", "is damaged"),
    ];
    for (what, text, expected) in table {
        let dir = tempfile::tempdir().unwrap();
        stored(dir.path());
        let file = dir.path().join("pods/a/main.json");
        let good = fs::read_to_string(&file).unwrap();
        let bad = match text {
            "VERSION" => good.replace(r#""version":1"#, r#""version":9"#),
            "NAME" => good.replace(r#""container":"main""#, r#""container":"other""#),
            "KEY" => good.replace(r#""version":1"#, r#""version":1,"more":2"#),
            text => text.to_owned(),
        };
        assert_ne!(bad, good, "{what}");
        fs::write(&file, &bad).unwrap();
        let (ledger, warnings) = Claims::open(dir.path().to_owned()).unwrap().load();
        assert!(
            warnings.len() == 1 && warnings.iter().all(|w| w.contains(expected) && w.contains("main.json.damaged-1")),
            "{what}: {warnings:?}"
        );
        assert!(ledger.held(&"a".parse().unwrap(), &"log".parse().unwrap()).is_some(), "{what}: the other container is kept");
        assert!(ledger.held(&"a".parse().unwrap(), &"main".parse().unwrap()).is_none(), "{what}");
        assert_eq!(fs::read_to_string(file.with_file_name("main.json.damaged-1")).unwrap(), bad, "{what}: nothing is lost");
    }
}

#[test]
fn damaged_pools_cost_no_promise() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = stored(dir.path());
    fs::write(dir.path().join("pools.json"), "[]").unwrap();
    let (again, warnings) = Claims::open(dir.path().to_owned()).unwrap().load();
    assert_eq!(again.entries(), ledger.entries());
    assert!(warnings.iter().any(|w| w.contains("pools.json is damaged")), "{warnings:?}");
}

#[test]
fn a_fifo_in_the_place_of_a_record_does_not_hang_the_start() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path());
    let file = dir.path().join("pods/a/main.json");
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (_, warnings) = Claims::open(dir.path().to_owned()).unwrap().load();
    assert!(warnings.iter().any(|w| w.contains("is not a regular file")), "{warnings:?}");
}

#[test]
fn a_pod_that_moved_is_written_and_one_that_did_not_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = stored(dir.path());
    let mut claims = Claims::open(dir.path().to_owned()).unwrap();
    claims.save_moved(&ledger).unwrap();
    let file = dir.path().join("pods/a/main.json");
    let (before, other) = (fs::metadata(&file).unwrap(), fs::metadata(dir.path().join("pods/b.c/ma.in.json")).unwrap());
    claims.save_moved(&ledger).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().ino(), before.ino(), "nothing changed, so nothing is written");
    let pod: PodUid = "a".parse().unwrap();
    let mut assignment = ledger.assignment().clone();
    assignment.pools.insert(PoolName::dedicated(&pod), gleaner_model::Pool { cpus: "5".parse().unwrap(), mems: "0".parse().unwrap() });
    assignment.members.insert(pod.clone(), PoolName::dedicated(&pod));
    ledger.assign(assignment);
    claims.save_moved(&ledger).unwrap();
    assert_eq!(fs::metadata(dir.path().join("pods/b.c/ma.in.json")).unwrap().ino(), other.ino());
    assert_eq!(Claims::open(dir.path().to_owned()).unwrap().load(), (ledger, Vec::new()));
}

#[test]
fn records_that_somebody_took_away_are_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("qrm");
    let ledger = stored(&folder);
    let mut claims = Claims::open(folder.clone()).unwrap();
    claims.save_moved(&ledger).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    claims.save_moved(&ledger).unwrap();
    assert_eq!(Claims::open(folder).unwrap().load(), (ledger, Vec::new()));
}

#[test]
fn what_could_not_be_promised_as_a_whole_leaves_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = stored(dir.path());
    let mut more = ledger.clone();
    claim(&mut more, "a", "aaa");
    claim(&mut more, "late", "main");
    let mut claims = Claims::open(dir.path().to_owned()).unwrap();
    for pod in ["a", "late"] {
        claims.save(&more, &pod.parse().unwrap()).unwrap();
        claims.take_back(&ledger, &pod.parse().unwrap());
    }
    assert_eq!(Claims::open(dir.path().to_owned()).unwrap().load(), (ledger, Vec::new()));
}

#[test]
fn shared_pods_are_in_their_pool_right_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = stored(dir.path());
    let mut assignment = ledger.assignment().clone();
    assignment.members.insert("a".parse().unwrap(), PoolName::share());
    ledger.assign(assignment);
    Claims::open(dir.path().to_owned()).unwrap().save_moved(&ledger).unwrap();
    let (again, _) = Claims::open(dir.path().to_owned()).unwrap().load();
    assert_eq!(again.assignment().members, ledger.assignment().members);
}
