//! What pods are given, and what is refused with which words.

use crate::{Behind, cpus_of, dedicated, of_class, online, reclaimed, shared};
use gleaner_crds::resourceplugin::{ContainerType, ResourceHintsResponse, ResourceRequest};
use gleaner_model::{CpuSet, MilliCpu};
use gleaner_tests::kubelet::{Options, QrmContainer, QrmPod, Stage};
use gleaner_tests::{pod_state, poll_until, skip};
use std::time::Duration;
use tonic::Code;

#[test]
fn a_dedicated_pod_has_cpus_that_no_other_pod_has() {
    let test = "a_dedicated_pod_has_cpus_that_no_other_pod_has";
    let Some(behind) = Behind::new(test) else { return };
    let (web, index, db) = (shared("web", 500), reclaimed("index", 100), dedicated("db", 1));
    assert_eq!(cpus_of(&behind.admit(&web)), online(), "a shared pod alone has everything");
    if online().count() < 3 {
        behind.kubelet.admit(&db).expect("one CPU is left for the shared pod");
    } else {
        behind.admit(&index);
        behind.admit(&db);
    }
    behind.kubelet.reconcile();
    let (own, rest) = (behind.cpus(&db), behind.cpus(&web));
    assert_eq!(own.count(), 1, "{own}");
    assert!(own.is_disjoint(&rest) && own.union(&rest).is_subset(&online()), "db {own}, web {rest}");
    behind.kubelet.remove(&db.uid).unwrap();
    behind.kubelet.reconcile();
    // Where reclaimed pods live, it may be theirs.
    let others = if online().count() < 3 { behind.cpus(&web) } else { behind.cpus(&web).union(&behind.cpus(&index)) };
    assert!(own.is_subset(&others), "what a removed pod had is given out again: {others}");
}

#[test]
fn a_kubelet_that_reconciles_by_itself_brings_every_change() {
    let test = "a_kubelet_that_reconciles_by_itself_brings_every_change";
    if online().count() < 2 {
        return skip(test, "needs 2 CPUs");
    }
    let options = Options { reconcile: Some(Duration::from_millis(300)), ..Options::default() };
    let Some(behind) = Behind::configured(test, "", options) else { return };
    let (web, db) = (shared("web", 100), dedicated("db", 1));
    behind.admit(&web);
    let own = cpus_of(&behind.admit(&db));
    poll_until("web has left the CPUs of db", || behind.cpus(&web).is_disjoint(&own).then_some(()));
    behind.kubelet.remove(&db.uid).unwrap();
    poll_until("web has them again", || own.is_subset(&behind.cpus(&web)).then_some(()));
}

#[test]
fn a_pod_that_cannot_be_placed_is_told_the_rule_and_changes_nothing() {
    let test = "a_pod_that_cannot_be_placed_is_told_the_rule_and_changes_nothing";
    let Some(mut behind) = Behind::new(test) else { return };
    let web = shared("web", 500);
    behind.admit(&web);
    let before = behind.cpus(&web);
    let all = online().count();
    let rejection = behind.kubelet.admit(&dedicated("db", all + 1)).unwrap_err();
    assert_eq!(rejection.code, Code::FailedPrecondition, "{rejection}");
    assert!(rejection.message.contains(&format!("needs {} CPUs, the node has {all}", all + 1)), "{rejection}");
    let floor = behind.kubelet.admit(&dedicated("db", all)).unwrap_err();
    assert!(floor.message.contains(": floor: ") && floor.message.contains("pools of shared"), "{floor}");
    assert!(behind.kubelet.reconcile().is_empty(), "nothing moved");
    assert_eq!(behind.cpus(&web), before);
    behind.node.until("its owner can ask why", |state| {
        let decisions = state["decisions"].as_array()?;
        decisions.iter().any(|d| d["reason"]["cause"].as_str().is_some_and(|cause| cause.starts_with("floor: "))).then_some(())
    });
    behind.node.until("the pod is not listed", |state| pod_state(state, "db").is_none().then_some(()));
}

#[test]
fn a_class_that_a_selector_gives_counts_and_is_told_back() {
    let test = "a_class_that_a_selector_gives_counts_and_is_told_back";
    let selector = "qos: {selectors: [{class: reclaimed_cores, key: example.com/tier, value: batch}]}\nplacement: {overlapShare: true}\n";
    let Some(behind) = Behind::configured(test, selector, Options::default()) else { return };
    behind.admit(&shared("web", 100));
    let main = QrmContainer::main("main").reclaimed_cpu(MilliCpu::new(100));
    let pod = QrmPod::new("job").annotation("example.com/tier", "batch").container(main);
    behind.admit(&pod);
    let asked = ResourceRequest {
        pod_uid: pod.uid.clone(),
        pod_namespace: pod.namespace.clone(),
        pod_name: pod.name.clone(),
        container_name: "main".to_owned(),
        container_type: ContainerType::Main.into(),
        resource_name: "cpu".to_owned(),
        resource_requests: [("resource.katalyst.kubewharf.io/reclaimed_millicpu".to_owned(), 100.0)].into(),
        annotations: pod.annotations.clone(),
        ..ResourceRequest::default()
    };
    let answer: ResourceHintsResponse = behind.kubelet.ask("cpu", "GetTopologyHints", &asked).unwrap();
    let level = "katalyst.kubewharf.io/qos_level";
    assert_eq!((answer.annotations[level].as_str(), answer.labels[level].as_str()), ("reclaimed_cores", "reclaimed_cores"));
}

#[test]
fn a_wrong_annotation_is_told_to_its_author_with_key_and_value() {
    let Some(behind) = Behind::new("a_wrong_annotation_is_told_to_its_author_with_key_and_value") else { return };
    let pod = of_class("odd", "golden_cores").container(QrmContainer::main("main").cpu(MilliCpu::new(100)));
    let rejection = behind.kubelet.admit(&pod).unwrap_err();
    assert_eq!((rejection.stage, rejection.code), (Stage::Hints, Code::InvalidArgument), "{rejection}");
    assert!(rejection.message.contains("golden_cores") && rejection.message.contains("qos_level"), "{rejection}");
}

#[test]
fn init_containers_are_given_nothing_and_sidecars_of_a_dedicated_pod_its_cpus() {
    let test = "init_containers_are_given_nothing_and_sidecars_of_a_dedicated_pod_its_cpus";
    if online().count() < 2 {
        return skip(test, "needs 2 CPUs");
    }
    let Some(behind) = Behind::new(test) else { return };
    let cpu = MilliCpu::from_cpus(1);
    let pod = of_class("db", "dedicated_cores")
        .container(QrmContainer::init("prepare").cpu(cpu))
        .container(QrmContainer::sidecar("log").cpu(cpu))
        .container(QrmContainer::main("main").cpu(cpu));
    behind.admit(&pod);
    behind.kubelet.reconcile();
    let admitted = behind.kubelet.admitted(&pod.uid).unwrap();
    let of = |name: &str| admitted.containers.iter().find(|c| c.name == name).unwrap().oci.get("CpusetCpus").cloned();
    assert_eq!(of("prepare"), None);
    let own = of("main").expect("the main container has CPUs");
    assert_eq!(own.parse::<CpuSet>().unwrap().count(), 1, "{own}");
    assert_eq!(of("log"), Some(own), "a sidecar that came first has them after reconciliation");
}

#[test]
fn asking_again_gives_the_same_answer() {
    let Some(behind) = Behind::new("asking_again_gives_the_same_answer") else { return };
    let pods = [shared("web", 300), dedicated("db", 1), reclaimed("index", 50)];
    let fitting: Vec<_> = pods.iter().filter(|pod| behind.kubelet.admit(pod).is_ok()).collect();
    behind.kubelet.reconcile();
    let before: Vec<CpuSet> = fitting.iter().map(|pod| behind.cpus(pod)).collect();
    for pod in &fitting {
        behind.admit(pod);
    }
    assert_eq!(fitting.iter().map(|pod| behind.cpus(pod)).collect::<Vec<_>>(), before);
    assert!(behind.kubelet.reconcile().is_empty(), "nothing moved");
}

#[test]
fn a_dedicated_pod_grows_in_place_and_keeps_what_it_has_when_it_cannot() {
    let test = "a_dedicated_pod_grows_in_place_and_keeps_what_it_has_when_it_cannot";
    let all = online().count();
    if all < 4 {
        return skip(test, &format!("needs 4 CPUs, this machine has {all}"));
    }
    let Some(behind) = Behind::new(test) else { return };
    let resized = |cores| dedicated("db", cores).annotation("pod.kubernetes.io/inplace-update-resizing", "true");
    behind.admit(&shared("web", 100));
    let before = cpus_of(&behind.admit(&dedicated("db", 1)));
    let grown = cpus_of(&behind.admit(&resized(2)));
    assert!(before.is_subset(&grown) && grown.count() == 2, "{before} became {grown}");
    let rejection = behind.kubelet.admit(&resized(all)).unwrap_err();
    assert_eq!(rejection.code, Code::FailedPrecondition, "{rejection}");
    behind.kubelet.reconcile();
    assert_eq!(behind.cpus(&dedicated("db", 2)), grown, "{rejection}");
    assert_eq!(cpus_of(&behind.admit(&resized(1))).count(), 1, "and it shrinks");
}
