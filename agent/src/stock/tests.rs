#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use gleaner_host::cgroup::FoundPod;
use gleaner_model::{
    Container, ContainerKind, CpuShares, KubeQos, MilliCpu, NumaSet, Pool, PoolName, QosClass, QosSpec, Requirement, Timestamp, Topology,
};
use gleaner_nri::Resources;
use std::time::Duration;

fn nothing() -> (Stock, QosConfig) {
    let (mut stock, warning) = Stock::open("/kubepods".parse().unwrap(), "/nonexistent/pods.json".into(), &QosConfig::default());
    assert_eq!(warning, None);
    stock.runtime = Some(KnownRuntime::default());
    (stock, QosConfig::default())
}

fn uid(text: &str) -> PodUid {
    text.parse().unwrap()
}

fn api(name: &str, class: QosClass, millis: u64) -> ApiPod {
    let container = Container {
        name: "main".parse().unwrap(),
        kind: ContainerKind::Main,
        cpu: Requirement { request: Some(MilliCpu::new(millis)), limit: None },
        memory: Requirement::default(),
        reclaimed_cpu: None,
        reclaimed_memory: None,
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    };
    let pod = Pod {
        workload: None,
        uid: uid(name),
        name: PodName { namespace: "default".into(), name: name.into() },
        qos: QosSpec::of(class),
        kube_qos: KubeQos::Burstable,
        priority: 0,
        grace: Duration::from_secs(30),
        containers: vec![container],
    };
    ApiPod {
        pod,
        api_uid: name.into(),
        problems: Vec::new(),
        phase: ApiPhase::Running,
        deleting: false,
        is_static: false,
        container_ids: BTreeMap::new(),
    }
}

fn sandbox(pod: &str, annotations: &[(&str, &str)]) -> Sandbox {
    Sandbox {
        id: format!("sandbox-{pod}"),
        uid: uid(pod),
        name: PodName { namespace: "default".into(), name: pod.into() },
        annotations: annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        labels: BTreeMap::new(),
        cgroup: Some(format!("/kubepods/burstable/pod{pod}").parse().unwrap()),
        resources: Resources::default(),
    }
}

fn container(pod: &str, id: &str, shares: u64) -> SeenContainer {
    SeenContainer {
        id: id.into(),
        sandbox: format!("sandbox-{pod}"),
        name: "main".parse().unwrap(),
        cgroup: Some(format!("/kubepods/burstable/pod{pod}/{id}").parse().unwrap()),
        resources: Resources { shares: Some(CpuShares::new(shares)), ..Resources::default() },
        running: true,
    }
}

fn found(pod: &str) -> FoundPod {
    FoundPod {
        uid: uid(pod),
        cgroup: format!("/kubepods/burstable/pod{pod}").parse().unwrap(),
        kube_qos: KubeQos::Burstable,
        containers: Vec::new(),
    }
}

fn look(stock: &mut Stock, pods: &[&str]) {
    stock.presence.observe(pods.iter().map(|pod| found(pod)).collect(), std::iter::empty(), Timestamp::default(), Duration::ZERO);
}

fn live(stock: &Stock) -> Vec<&str> {
    stock.pods().keys().map(PodUid::as_str).collect()
}

#[test]
fn a_pod_that_was_deleted_by_force_holds_what_it_has_as_long_as_its_cgroup_is_there() {
    let (mut stock, qos) = nothing();
    assert!(stock.told(PodsEvent::Listed(vec![api("a", QosClass::Dedicated, 2000), api("b", QosClass::Shared, 100)]), &qos));
    look(&mut stock, &["a"]);
    stock.told(PodsEvent::Gone(uid("a")), &qos);
    assert!(!stock.forget_gone(&qos));
    assert_eq!(live(&stock), ["a", "b"], "its processes run on");
    look(&mut stock, &[]);
    assert!(stock.forget_gone(&qos));
    assert_eq!(live(&stock), ["b"], "without a cgroup it is over; b, which the API server has, may have none yet");
}

#[test]
fn a_pod_missing_in_a_later_list_is_gone_and_one_that_ended_holds_nothing() {
    let (mut stock, qos) = nothing();
    stock.told(PodsEvent::Listed(vec![api("a", QosClass::Shared, 1), api("b", QosClass::Shared, 1)]), &qos);
    let ended = ApiPod { phase: ApiPhase::Ended, ..api("b", QosClass::Shared, 1) };
    assert!(stock.told(PodsEvent::Listed(vec![ended]), &qos));
    stock.forget_gone(&qos);
    assert_eq!(live(&stock), Vec::<&str>::new());
}

#[test]
fn what_only_the_runtime_tells_is_placed_by_its_annotations_and_weights() {
    let (mut stock, qos) = nothing();
    stock.see_pod(sandbox("a", &[("katalyst.kubewharf.io/qos_level", "dedicated_cores")]), &qos);
    assert_eq!(live(&stock), Vec::<&str>::new(), "a sandbox alone may be one that is over");
    assert!(stock.see_container(container("a", "c1", 2048), &qos));
    let pod = &stock.pods()[&uid("a")];
    assert_eq!((pod.class(), pod.cpu_request()), (QosClass::Dedicated, MilliCpu::new(2000)));
    assert!(stock.provisional().contains(&uid("a")));
    assert!(stock.told(PodsEvent::Changed(Box::new(api("a", QosClass::Dedicated, 1500))), &qos));
    assert_eq!(stock.pods()[&uid("a")].cpu_request(), MilliCpu::new(1500), "the API server's word counts");
    assert!(stock.provisional().is_empty());
}

#[test]
fn a_dedicated_pod_whose_request_is_not_known_yet_is_shared() {
    let (mut stock, qos) = nothing();
    stock.see_pod(sandbox("a", &[("katalyst.kubewharf.io/qos_level", "dedicated_cores")]), &qos);
    stock.see_container(container("a", "c1", 2), &qos);
    assert_eq!(stock.pods()[&uid("a")].class(), QosClass::Shared);
}

#[test]
fn while_the_runtime_is_away_what_it_told_holds_only_as_long_as_there_is_a_cgroup() {
    let (mut stock, qos) = nothing();
    stock.see_pod(sandbox("a", &[]), &qos);
    stock.see_container(container("a", "c1", 1024), &qos);
    assert!(!stock.forget_gone(&qos), "its cgroup is about to come");
    stock.runtime = None;
    assert!(stock.forget_gone(&qos) && stock.pods().is_empty());
    assert!(!stock.forget_gone(&qos), "and that is no news again");
}

#[test]
fn the_sandbox_of_a_pod_that_is_over_is_no_pod() {
    let (mut stock, qos) = nothing();
    let seen = Synchronized { pods: vec![sandbox("old", &[]), sandbox("new", &[])], containers: vec![container("new", "c", 1024)] };
    stock.synchronize(&seen, &qos);
    assert_eq!(live(&stock), ["new"]);
}

#[test]
fn another_sandbox_of_a_living_pod_changes_nothing() {
    let (mut stock, qos) = nothing();
    stock.told(PodsEvent::Listed(vec![api("a", QosClass::Dedicated, 1000)]), &qos);
    stock.see_pod(sandbox("a", &[]), &qos);
    assert!(!stock.sandbox_gone("sandbox-a", &qos), "the pod lives on");
    assert_eq!(live(&stock), ["a"]);
}

#[test]
fn exclusive_cpus_of_the_kubelet_make_a_pod_dedicated_and_are_taken_from_all_others() {
    let (mut stock, qos) = nothing();
    stock.told(PodsEvent::Listed(vec![api("a", QosClass::Shared, 2000), api("b", QosClass::Shared, 100)]), &qos);
    let cpus: CpuSet = "2-3".parse().unwrap();
    assert!(stock.set_exclusive(BTreeMap::from([(uid("a"), cpus.clone())]), &qos));
    let pod = &stock.pods()[&uid("a")];
    assert_eq!((pod.class(), pod.cpu_request()), (QosClass::Dedicated, MilliCpu::new(2000)));

    let topology = Topology::regular(1, 1, 8, 1, gleaner_model::Bytes::new(1 << 30)).unwrap();
    let mut start = gleaner_model::Assignment::default();
    start.pools.insert(PoolName::share(), Pool { cpus: "0-7".parse().unwrap(), mems: NumaSet::new() });
    give_exclusive(&topology, stock.exclusive(), |_| true, &mut start);
    assert_eq!(start.cpus_of(&PoolName::share()), "0-1,4-7".parse().unwrap());
    let placed = gleaner_qrm_plugins::place(
        &topology,
        &start,
        stock.pods(),
        &gleaner_qrm_plugins::demands(stock.pods(), &BTreeMap::new()),
        &gleaner_qrm_plugins::PlacePolicy::default(),
    );
    assert_eq!(placed.assignment.cpus_of(&PoolName::dedicated(&uid("a"))), cpus, "the solver leaves them where kubelet put them");
    assert!(placed.assignment.cpus_of(&PoolName::share()).is_disjoint(&cpus), "{placed:?}");
}

#[test]
fn containers_of_the_runtime_have_cgroups_before_the_next_look_at_the_kernel() {
    let (mut stock, qos) = nothing();
    stock.see_pod(sandbox("a", &[]), &qos);
    stock.see_container(container("a", "c1", 1024), &qos);
    let cgroups = stock.cgroups();
    assert_eq!(cgroups[&uid("a")].containers.values().map(CgroupPath::as_str).collect::<Vec<_>>(), ["/kubepods/burstable/poda/c1"]);
    stock.container_gone("c1");
    assert!(stock.cgroups().is_empty());
}

#[test]
fn a_sandbox_that_names_a_cgroup_which_is_not_its_own_is_no_pod_of_this_node() {
    for parent in ["/kubepods", "/kubepods/burstable", "/kubepods/burstable/podother", "/system.slice", "/"] {
        let (mut stock, qos) = nothing();
        let foreign = Sandbox { cgroup: Some(parent.parse().unwrap()), ..sandbox("a", &[]) };
        assert!(!stock.see_pod(foreign.clone(), &qos) && !stock.see_container(container("a", "c1", 1024), &qos), "{parent}");
        stock.synchronize(&Synchronized { pods: vec![foreign], containers: vec![container("a", "c1", 1024)] }, &qos);
        assert!(stock.pods().is_empty() && stock.cgroups().is_empty(), "{parent}: {:?}", stock.cgroups());
    }
}

#[test]
fn a_container_whose_cgroup_is_not_in_its_pods_is_not_written() {
    let (mut stock, qos) = nothing();
    stock.see_pod(sandbox("a", &[]), &qos);
    stock.see_container(SeenContainer { cgroup: Some("/kubepods/burstable/podb/c1".parse().unwrap()), ..container("a", "c1", 1024) }, &qos);
    assert!(stock.cgroups().is_empty(), "{:?}", stock.cgroups());
}

#[test]
fn a_sandbox_of_the_systemd_driver_is_below_the_slice_of_pods() {
    let qos = QosConfig::default();
    let (mut stock, _) = Stock::open("/kubepods.slice".parse().unwrap(), "/nonexistent/pods.json".into(), &qos);
    stock.runtime = Some(KnownRuntime::default());
    let slice = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda_b.slice";
    let pod = Sandbox { uid: uid("a-b"), cgroup: Some(slice.parse().unwrap()), ..sandbox("a", &[]) };
    stock.see_pod(pod, &qos);
    let scope = format!("{slice}/cri-containerd-c1.scope").parse().unwrap();
    stock.see_container(SeenContainer { cgroup: Some(scope), ..container("a", "c1", 1024) }, &qos);
    assert_eq!(live(&stock), ["a-b"]);
    assert_eq!(stock.cgroups()[&uid("a-b")].containers.len(), 1);
}
