#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use super::*;
use gleaner_model::{KubeQos, PodName, PoolName, QosClass, QosSpec};
use gleaner_qrm_plugins::{Amount, Claim, ContainerType, Parsed, PodIdentity, Request};
use std::collections::BTreeMap;

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
