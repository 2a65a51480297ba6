#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::fixtures::{asked, cpus, request, uid};
use crate::plugin::Amount;
use crate::{Claim, Refusal, Rule};
use gleaner_model::{MilliCpu, NumaPlacement, Pool, QosClass};

fn with(ledger: &mut Ledger, pod: &str, container: &str, kind: ContainerType, class: QosClass, cores: f64) {
    let request = request(pod, container, kind, class, cores);
    asked(&request, |asked| ledger.claim("cpu", asked, Claim::of(asked.request)));
}

#[test]
fn a_change_that_fails_leaves_nothing_behind() {
    let mut ledger = Ledger::default();
    with(&mut ledger, "a", "main", ContainerType::Main, QosClass::Shared, 1.0);
    let before = ledger.clone();
    let failed = ledger.transact(&uid("a"), |draft| {
        with(draft, "a", "main", ContainerType::Main, QosClass::Shared, 9.0);
        draft.bind(&uid("a"), "1".parse().unwrap());
        draft.assign(Assignment::default());
        Err::<(), _>(Refusal::by(Rule::Capacity, "too much"))
    });
    assert_eq!(failed, Err(Refusal::by(Rule::Capacity, "too much")));
    assert_eq!(ledger, before, "the pod's earlier claim is untouched");
    let _ = ledger.transact(&uid("b"), |draft| {
        with(draft, "b", "main", ContainerType::Main, QosClass::Shared, 1.0);
        Err::<(), _>(Refusal::by(Rule::Capacity, "too much"))
    });
    assert_eq!(ledger, before, "a new pod leaves no trace");
}

#[test]
fn sidecars_of_a_dedicated_pod_ask_for_no_cpus_of_their_own() {
    let mut ledger = Ledger::default();
    with(&mut ledger, "d", "log", ContainerType::Sidecar, QosClass::Dedicated, 2.0);
    assert!(!ledger.has_main(&uid("d"), "cpu"));
    with(&mut ledger, "d", "main", ContainerType::Main, QosClass::Dedicated, 4.0);
    with(&mut ledger, "s", "main", ContainerType::Main, QosClass::Shared, 1.0);
    with(&mut ledger, "s", "log", ContainerType::Sidecar, QosClass::Shared, 0.5);
    let request = |pod: &str| ledger.pods()[&uid(pod)].cpu_request();
    assert_eq!((request("d"), request("s")), (MilliCpu::new(4000), MilliCpu::new(1500)));
    assert!(ledger.has_main(&uid("d"), "cpu"));
}

#[test]
fn the_sum_for_the_whole_pod_counts_once() {
    let mut ledger = Ledger::default();
    let mut main = request("s", "main", ContainerType::Main, QosClass::Shared, 1.0);
    main.whole_pod = Amount::new(3.0);
    asked(&main, |asked| ledger.claim("cpu", asked, Claim::of(asked.request)));
    with(&mut ledger, "s", "log", ContainerType::Sidecar, QosClass::Shared, 2.0);
    assert_eq!(ledger.pods()[&uid("s")].cpu_request(), MilliCpu::new(3000));
}

#[test]
fn a_bound_dedicated_pod_is_placed_on_the_nodes_of_its_hint() {
    let mut ledger = Ledger::default();
    let mut main = request("d", "main", ContainerType::Main, QosClass::Dedicated, 2.0);
    main.pod.annotations.insert("katalyst.kubewharf.io/memory_enhancement".to_owned(), r#"{"numa_binding": true}"#.to_owned());
    main.hint = Some(crate::Hint::on("1".parse().unwrap(), true));
    asked(&main, |asked| ledger.claim("cpu", asked, Claim::of(asked.request)));
    assert_eq!(ledger.pods()[&uid("d")].qos.cpu.placement, NumaPlacement::Ids("1".parse().unwrap()));
}

#[test]
fn records_tell_the_whole_ledger_again() {
    let mut ledger = Ledger::default();
    with(&mut ledger, "d", "main", ContainerType::Main, QosClass::Dedicated, 2.0);
    with(&mut ledger, "d", "log", ContainerType::Sidecar, QosClass::Dedicated, 1.0);
    with(&mut ledger, "s", "main", ContainerType::Main, QosClass::Shared, 1.0);
    ledger.bind(&uid("d"), "0".parse().unwrap());
    let pool = |set: &str| Pool { cpus: cpus(set), mems: "0".parse().unwrap() };
    let mut assignment = ledger.assignment().clone();
    assignment.pools.insert(PoolName::dedicated(&uid("d")), pool("0-1"));
    assignment.pools.insert(PoolName::share(), pool("2-3"));
    assignment.members.insert(uid("d"), PoolName::dedicated(&uid("d")));
    ledger.assign(assignment);
    let records = ledger.entries().iter().flat_map(|(pod, entry)| entry.containers.keys().map(|c| ledger.record(pod, c).unwrap()));
    let text = serde_json::to_string(&records.collect::<Vec<_>>()).unwrap();
    let pools = serde_json::to_string(&ledger.pools()).unwrap();
    let (again, warnings) =
        Ledger::restore(serde_json::from_str::<Vec<Record>>(&text).unwrap(), Some(serde_json::from_str(&pools).unwrap()));
    assert_eq!((again, warnings), (ledger, Vec::new()));
}

#[test]
fn of_two_pods_with_the_same_cpus_the_second_is_placed_anew_with_a_word() {
    let mut records = Vec::new();
    for pod in ["a", "b"] {
        let mut ledger = Ledger::default();
        with(&mut ledger, pod, "main", ContainerType::Main, QosClass::Dedicated, 2.0);
        let mut record = ledger.record(&uid(pod), &"main".parse().unwrap()).unwrap();
        record.own = Some(Pool { cpus: cpus("0-1"), mems: "0".parse().unwrap() });
        records.push(record);
    }
    let (ledger, warnings) = Ledger::restore(records, None);
    assert_eq!(warnings, ["ns/b: another dedicated pod has CPUs 0-1 too; it is placed anew"]);
    assert_eq!(ledger.assignment().pools.len(), 1, "{:?}", ledger.assignment());
    assert_eq!(ledger.pods().len(), 2);
}

#[test]
fn a_pod_that_is_removed_takes_its_own_cpus_along() {
    let mut ledger = Ledger::default();
    with(&mut ledger, "d", "main", ContainerType::Main, QosClass::Dedicated, 2.0);
    ledger.bind(&uid("d"), "0".parse().unwrap());
    assert!(ledger.remove(&uid("d")));
    assert!(!ledger.remove(&uid("d")), "a second time there is nothing to remove");
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn cpus_that_are_not_online_are_nobodys() {
    let mut ledger = Ledger::default();
    for pod in ["a", "b", "c"] {
        with(&mut ledger, pod, "main", ContainerType::Main, QosClass::Dedicated, 1.0);
    }
    let mut assignment = Assignment::default();
    for (pod, set) in [("a", "0"), ("b", "9"), ("c", "")] {
        assignment.pools.insert(PoolName::dedicated(&uid(pod)), Pool { cpus: cpus(set), mems: "0".parse().unwrap() });
        assignment.members.insert(uid(pod), PoolName::dedicated(&uid(pod)));
    }
    ledger.assign(assignment);
    let lines = ledger.keep_online(&cpus("0-3"));
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("placed anew")), "{lines:?}");
    assert_eq!(ledger.assignment().members.keys().collect::<Vec<_>>(), [&uid("a")]);
}
