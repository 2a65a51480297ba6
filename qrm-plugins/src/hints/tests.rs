#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::*;
use crate::fixtures::{by_uid, cpus, machine, pod, uid, with_pool};
use crate::{Hint, HintPreference, PlacePolicy, ReserveRule, Rule};
use gleaner_model::{Assignment, NumaBinding, NumaPlacement, NumaSet, Permille, Pod, Pool, PoolName, QosClass, Topology};

/// Two packages with nodes 0-1 and 2-3; node 0 has the cores 0,8 and 1,9, node 1 2,10 and 3,11, and so on.
fn four_nodes() -> Topology {
    machine(2, 2, 2, 2)
}

fn nodes(text: &str) -> NumaSet {
    text.parse().unwrap()
}

fn bound(mut pod: Pod) -> Pod {
    pod.qos.memory.numa_binding = NumaBinding::Bound;
    pod
}

fn exclusive(mut pod: Pod) -> Pod {
    pod.qos.memory.numa_binding = NumaBinding::Exclusive;
    pod
}

fn unshared(mut pod: Pod) -> Pod {
    pod.qos.cpu.numa_share = false;
    pod
}

fn whole_cores(mut pod: Pod) -> Pod {
    pod.qos.cpu.full_pcpus_pairing = true;
    pod
}

fn on(mut pod: Pod, placement: NumaPlacement) -> Pod {
    pod.qos.cpu.placement = placement;
    pod
}

fn dedicated(name: &str, milli: u64) -> Pod {
    bound(pod(name, QosClass::Dedicated, milli))
}

fn shared(name: &str, milli: u64) -> Pod {
    pod(name, QosClass::Shared, milli)
}

fn reclaimed(name: &str, milli: u64) -> Pod {
    pod(name, QosClass::Reclaimed, milli)
}

/// A machine with pods: `at` says the CPUs of dedicated and the nodes of other bound pods.
struct Stage {
    topology: Topology,
    pods: BTreeMap<PodUid, Pod>,
    assignment: Assignment,
    policy: PlacePolicy,
    headroom: Option<BTreeMap<NumaId, MilliCpu>>,
}

impl Stage {
    fn new<const N: usize>(pods: [Pod; N], at: &[(&str, &str)]) -> Self {
        let topology = four_nodes();
        let pods = by_uid(pods);
        let mut assignment = Assignment::default();
        for (name, place) in at {
            if pods[&uid(name)].class() == QosClass::Dedicated {
                let pool = Pool { cpus: cpus(place), mems: topology.nodes_of(&cpus(place)) };
                assignment.nodes.insert(uid(name), pool.mems.clone());
                assignment.pools.insert(PoolName::dedicated(&uid(name)), pool);
            } else {
                assignment.nodes.insert(uid(name), nodes(place));
            }
        }
        Self { topology, pods, assignment, policy: PlacePolicy::default(), headroom: None }
    }

    fn reserving(mut self, text: &str) -> Self {
        self.policy.reserve = ReserveRule::Cpus(cpus(text));
        self
    }

    fn preferring(mut self, preference: HintPreference) -> Self {
        self.policy.hint_preference = preference;
        self
    }

    fn headroom(mut self, milli: &[(u32, u64)]) -> Self {
        self.headroom = Some(milli.iter().map(|(id, milli)| (NumaId::new(*id), MilliCpu::new(*milli))).collect());
        self
    }

    fn ask(&self, pod: &Pod) -> Result<Hints, Refusal> {
        let node = Node { topology: &self.topology, pods: &self.pods, assignment: &self.assignment, policy: &self.policy };
        let asked = Asked { pod: &pod.uid, qos: &pod.qos, cpu: crate::demand::requested(pod) };
        cpu_hints(&node, &asked, self.headroom.as_ref())
    }

    /// The hints as text, `!` after those preferred.
    fn hints(&self, pod: &Pod) -> String {
        let show = |hint: Hint| format!("{}{}", hint.nodes.unwrap(), if hint.preferred { "!" } else { "" });
        match self.ask(pod) {
            Ok(Hints::List(list)) => list.into_iter().map(show).collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&self, pod: &Pod) -> (Rule, String) {
        let refusal = self.ask(pod).expect_err("must be refused");
        (refusal.rule, refusal.cause)
    }
}

#[test]
fn only_numa_binding_has_a_preference() {
    let stage = Stage::new([], &[]);
    let system = bound(pod("a", QosClass::System, 0));
    for pod in [shared("a", 1000), reclaimed("a", 99_000), system, pod("a", QosClass::Dedicated, 6000)] {
        assert_eq!(stage.ask(&pod), Ok(Hints::NoPreference), "{:?}", pod.qos);
    }
}

#[test]
fn a_bound_dedicated_pod_has_one_node_with_room() {
    let stage = Stage::new([dedicated("d", 3000)], &[("d", "4-5,12")]);
    assert_eq!(stage.hints(&dedicated("a", 2000)), "0! 1! 3!");
    assert_eq!(stage.hints(&dedicated("a", 500)), "0! 1! 2! 3!");
}

#[test]
fn a_pod_that_asks_again_keeps_its_nodes_and_one_that_grows_stays_where_it_can() {
    let stage = Stage::new([dedicated("d", 2000), dedicated("e", 2000)], &[("d", "2,10"), ("e", "3,11")]);
    assert_eq!(stage.hints(&dedicated("d", 2000)), "1!");
    assert_eq!(stage.hints(&dedicated("d", 1000)), "1! 0 2 3");
    assert_eq!(stage.hints(&dedicated("d", 3000)), "0! 2! 3!", "the other one is in the way");
    let stage = Stage::new([bound(shared("s", 1000))], &[("s", "3")]);
    assert_eq!(stage.hints(&bound(shared("s", 1000))), "3!");
    assert_eq!(stage.hints(&bound(shared("s", 4000))), "3! 0 1 2");
}

#[test]
fn an_exclusive_pod_has_nodes_without_other_dedicated_or_bound_pods() {
    let pods = [dedicated("d", 1000), bound(shared("s", 1000))];
    let stage = Stage::new(pods, &[("d", "0"), ("s", "1")]);
    assert_eq!(stage.hints(&exclusive(dedicated("a", 3000))), "2! 3! 2-3");
    let (rule, cause) = stage.refusal(&exclusive(dedicated("a", 9000)));
    assert_eq!(rule, Rule::NumaExclusive);
    let all = "needs 9 CPUs on NUMA nodes without other dedicated or bound pods; free: 3 on node 0 (ns/d is on it), 3 on node 1 (ns/s is on it), \
               4 on node 2, 4 on node 3";
    assert_eq!(cause, all);
    let stage = Stage::new([exclusive(dedicated("d", 1000))], &[("d", "0-1,8-9")]);
    assert_eq!(stage.hints(&dedicated("a", 1000)), "1! 2! 3!");
    assert_eq!(stage.hints(&bound(shared("a", 1000))), "1! 2! 3!");
    assert_eq!(stage.hints(&bound(reclaimed("a", 1000))), "1 2 3");
}

#[test]
fn sockets_are_crossed_only_when_they_must_be() {
    let big = exclusive(dedicated("a", 5000));
    assert_eq!(Stage::new([], &[]).hints(&big), "0-1! 2-3! 0-2 0-1,3 0,2-3 1-3 0-3");
    let stage = Stage::new([dedicated("d", 1000), dedicated("e", 1000)], &[("d", "0"), ("e", "4")]);
    assert_eq!(stage.hints(&big), "1,3", "not preferred: an empty machine would have one socket for it");
}

#[test]
fn whole_cores_are_looked_for_on_every_node() {
    let stage = Stage::new([], &[]).reserving("2-3");
    // Node 1 has two CPUs free, but no core.
    let two = on(whole_cores(dedicated("a", 4000)), NumaPlacement::Number(2));
    assert_eq!(stage.hints(&two), "2-3!");
    let mut even = two.clone();
    even.qos.cpu.distribute_evenly_across_numa = true;
    assert_eq!(stage.hints(&even), "2-3!");
    assert_eq!(stage.hints(&whole_cores(dedicated("a", 3000))), "0! 2! 3!", "3 CPUs are two cores");
    let (rule, cause) = stage.refusal(&on(whole_cores(dedicated("a", 2000)), NumaPlacement::Ids(nodes("1"))));
    assert_eq!(rule, Rule::FullPcpusPairing);
    assert!(cause.starts_with("needs 2 CPUs in whole cores on NUMA nodes 1; free: 4 on node 0, 0 on node 1,"), "{cause}");
}

#[test]
fn numa_ids_and_numa_number_are_kept_to_the_letter() {
    let stage = Stage::new([], &[]);
    let ids = |text: &str, milli| on(dedicated("a", milli), NumaPlacement::Ids(nodes(text)));
    let number = |count, milli| on(dedicated("a", milli), NumaPlacement::Number(count));
    assert_eq!(stage.hints(&ids("1-2", 6000)), "1-2!");
    assert_eq!(stage.hints(&number(3, 3000)), "0-2! 0-1,3! 0,2-3! 1-3!");
    assert_eq!(stage.refusal(&ids("3-4", 2000)), (Rule::NumaIds, "asks for NUMA nodes 3-4, those with CPUs are 0-3".to_owned()));
    assert_eq!(stage.refusal(&number(5, 5000)), (Rule::NumaNumber, "asks for 5 NUMA nodes, 4 have CPUs".to_owned()));
    assert_eq!(stage.refusal(&ids("0-2", 2000)).0, Rule::NumaIds);
    assert_eq!(stage.refusal(&ids("0", 5000)).0, Rule::NumaIds);
    assert_eq!(stage.refusal(&number(2, 9000)).0, Rule::NumaNumber);
    let mut even = number(2, 3000);
    even.qos.cpu.distribute_evenly_across_numa = true;
    assert_eq!(stage.refusal(&even), (Rule::DistributeEvenly, "3 CPUs cannot be split evenly over 2 NUMA nodes".to_owned()));
    for (class, rule) in [(QosClass::Shared, Rule::NumaNumber), (QosClass::Reclaimed, Rule::NumaNumber)] {
        assert_eq!(stage.refusal(&on(bound(pod("a", class, 1000)), NumaPlacement::Number(2))).0, rule, "{class}");
    }
    assert_eq!(stage.hints(&on(bound(shared("a", 1000)), NumaPlacement::Ids(nodes("2")))), "2!");
}

#[test]
fn a_dedicated_pod_that_fits_nowhere_learns_the_rule_and_the_numbers() {
    let stage = Stage::new([], &[]).reserving("0,2");
    let of = |pod: &Pod| stage.refusal(pod);
    assert_eq!(of(&dedicated("a", 0)).0, Rule::BadRequest);
    let many = "needs 15 CPUs, the node has 16, 2 of them kept for the system or interrupts";
    assert_eq!(of(&dedicated("a", 14_500)), (Rule::Reserve, many.to_owned()));
    assert_eq!(of(&dedicated("a", 17_000)).0, Rule::Capacity);
    let (rule, cause) = of(&dedicated("a", 5000));
    assert_eq!(rule, Rule::NumaBinding);
    assert_eq!(cause, "needs 5 CPUs on one NUMA node; free: 3 on node 0, 3 on node 1, 4 on node 2, 4 on node 3");
    let mut near = exclusive(on(dedicated("a", 5000), NumaPlacement::Ids(nodes("1-2"))));
    near.qos.cpu.align_by_socket = true;
    assert_eq!(of(&near).0, Rule::AlignBySocket);
    let stage = Stage::new([shared("s", 1000)], &[]);
    assert_eq!(stage.refusal(&exclusive(dedicated("a", 16_000))).0, Rule::Floor);
    let (rule, cause) = stage.refusal(&pod("a", QosClass::Dedicated, 16_000));
    let words = "16 CPUs for it would leave 0 of 16 to the pools of shared and reclaimed pods, which need at least 1";
    assert_eq!((rule, cause.as_str()), (Rule::Floor, words));
}

#[test]
fn dedicated_pods_leave_bound_shared_pods_what_they_request() {
    let stage = Stage::new([bound(shared("s", 2500))], &[("s", "1")]);
    assert_eq!(stage.hints(&dedicated("a", 2000)), "0! 2! 3!");
    assert_eq!(stage.hints(&dedicated("a", 1000)), "0! 1! 2! 3!");
}

#[test]
fn pods_that_do_not_share_are_kept_from_other_classes_and_pools() {
    let pods = [unshared(dedicated("d", 1000)), unshared(bound(shared("s", 1000))), bound(reclaimed("r", 1000))];
    let stage = Stage::new(pods, &[("d", "0"), ("s", "1"), ("r", "2")]);
    assert_eq!(stage.hints(&dedicated("a", 1000)), "0! 2! 3!");
    assert_eq!(stage.hints(&bound(shared("a", 1000))), "1 2! 3!");
    assert_eq!(stage.hints(&with_pool(bound(shared("a", 1000)), "share")), "1 2! 3!", "the pool of those that name none");
    assert_eq!(stage.hints(&with_pool(bound(shared("a", 1000)), "web")), "2! 3!");
    assert_eq!(stage.hints(&bound(reclaimed("a", 1000))), "2 3");
    assert_eq!(stage.hints(&unshared(dedicated("a", 1000))), "0! 3!");
    let (rule, cause) = stage.refusal(&on(unshared(dedicated("a", 1000)), NumaPlacement::Ids(nodes("2"))));
    assert_eq!(rule, Rule::NumaShare);
    assert!(cause.contains("4 on node 2 (ns/r (reclaimed_cores) is on it)"), "{cause}");
    let (rule, cause) = stage.refusal(&on(with_pool(bound(shared("a", 1000)), "web"), NumaPlacement::Ids(nodes("1"))));
    let words = "needs one NUMA node with 1 CPUs; node 1: ns/s (shared_cores) does not share it";
    assert_eq!((rule, cause.as_str()), (Rule::NumaShare, words));
}

#[test]
fn unbound_shared_pods_are_refused_when_their_requests_are_more_than_their_nodes_have() {
    let pods = [shared("s", 6000), bound(shared("b", 1000)), dedicated("d", 2000)];
    let stage = Stage::new(pods, &[("b", "3"), ("d", "4,12")]).reserving("0,8");
    assert_eq!(stage.ask(&shared("a", 2000)), Ok(Hints::NoPreference));
    let (rule, cause) = stage.refusal(&shared("a", 2100));
    assert_eq!(rule, Rule::Capacity);
    let words = "shared pods without numa_binding would request 8100m CPUs with the 2100m of this one, 8 are for them: of 16 CPUs 2 are \
                 reserved, 2 dedicated, bound shared pods have nodes 3";
    assert_eq!(cause, words);
    assert_eq!(stage.ask(&shared("s", 5000)), Ok(Hints::NoPreference), "a pod may always shrink");
    assert_eq!(stage.refusal(&shared("s", 9000)).0, Rule::Capacity);
}

#[test]
fn a_node_is_taken_from_unbound_shared_pods_only_if_enough_is_left() {
    let small = bound(shared("a", 1000));
    let stage = Stage::new([shared("s", 12_000)], &[]);
    assert_eq!(stage.hints(&small), "0! 1! 2! 3!");
    let stage = Stage::new([shared("s", 12_001)], &[]);
    let (rule, cause) = stage.refusal(&small);
    assert_eq!(rule, Rule::Floor);
    assert!(cause.contains("node 0: shared pods without numa_binding need 12001m CPUs and would have 12 without it"), "{cause}");
    let stage = Stage::new([shared("s", 12_000), bound(shared("b", 1000))], &[("b", "2")]);
    assert_eq!(stage.hints(&small), "2!", "the one that is theirs no more");
    assert_eq!(stage.refusal(&bound(shared("a", 3500))).0, Rule::Floor);
}

#[test]
fn the_policy_says_which_node_a_bound_shared_pod_prefers() {
    let pods = || [bound(shared("b", 1000)), bound(shared("c", 2000))];
    let stage = |preference| Stage::new(pods(), &[("b", "1"), ("c", "3")]).preferring(preference);
    let small = bound(shared("a", 1000));
    let dynamic = |percent: u32| HintPreference::DynamicPacking { low_threshold: Permille::new(percent * 10) };
    assert_eq!(stage(HintPreference::Spreading).hints(&small), "0! 1 2! 3");
    assert_eq!(stage(HintPreference::Packing).hints(&small), "0 1 2 3!");
    assert_eq!(stage(dynamic(50)).hints(&small), "0 1! 2 3");
    assert_eq!(stage(dynamic(75)).hints(&small), "0! 2! 1 3");
    assert_eq!(stage(dynamic(76)).hints(&small), "0! 1 2! 3", "nowhere is enough left: spreading");
    let (rule, cause) = stage(HintPreference::Packing).refusal(&bound(shared("a", 4500)));
    assert_eq!(rule, Rule::NumaBinding);
    assert!(
        cause.ends_with("node 0: 4 of 4 CPUs left; node 1: 3 of 4 CPUs left; node 2: 4 of 4 CPUs left; node 3: 2 of 4 CPUs left"),
        "{cause}"
    );
}

#[test]
fn bound_reclaimed_pods_join_their_like_then_go_where_most_headroom_is() {
    let stage = Stage::new([bound(reclaimed("r", 1000))], &[("r", "2")]);
    let small = bound(reclaimed("a", 2000));
    assert_eq!(stage.hints(&small), "2 0 1 3", "unknown headroom is none to rely on");
    let stage = stage.headroom(&[(0, 2000), (1, 3000), (2, 2500)]);
    assert_eq!(stage.hints(&small), "2 1! 0! 3", "node 2 has 1500m left; of node 3 nothing is known");
    assert_eq!(stage.hints(&bound(reclaimed("a", 99_000))), "2 1 0 3", "never refused for headroom");
}

#[test]
fn the_last_node_of_unbound_reclaimed_pods_stays_theirs() {
    let pods = [reclaimed("u", 1000), bound(reclaimed("r", 1000)), bound(reclaimed("s", 1000)), exclusive(dedicated("d", 1000))];
    let mut stage = Stage::new(pods, &[("r", "0"), ("s", "1"), ("d", "4-5,12-13")]);
    assert_eq!(stage.hints(&bound(reclaimed("a", 1000))), "0 1");
    let (rule, cause) = stage.refusal(&on(bound(reclaimed("a", 1000)), NumaPlacement::Ids(nodes("3"))));
    assert_eq!(rule, Rule::Floor);
    assert!(cause.ends_with("node 3: the last one for 1 reclaimed pods without numa_binding"), "{cause}");
    stage.pods.remove(&uid("u"));
    assert_eq!(stage.hints(&bound(reclaimed("a", 1000))), "0 1 3");
}

#[test]
fn interrupts_have_their_cpus_for_themselves() {
    let mut stage = Stage::new([], &[]);
    stage.policy.interrupt = cpus("0,8");
    assert_eq!(stage.hints(&dedicated("a", 3000)), "1! 2! 3!");
    assert_eq!(stage.hints(&bound(shared("a", 3000))), "1! 2! 3!");
}

#[test]
fn machines_with_many_nodes_get_the_smallest_size_and_the_next() {
    let mut stage = Stage::new([], &[]);
    let mut sizes = |packages: u32, each: u32, cpus: u64| {
        stage.topology = machine(packages, each, 1, 2);
        let Ok(Hints::List(list)) = stage.ask(&exclusive(dedicated("a", cpus * 1000))) else { panic!() };
        let sizes: std::collections::BTreeSet<usize> = list.iter().map(|hint| hint.nodes.as_ref().unwrap().len()).collect();
        (list.len(), sizes.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(sizes(2, 8, 29), (17, vec![15, 16]));
    assert_eq!(sizes(2, 12, 4), (2 * 66 + 2 * 220, vec![2, 3]));
    assert_eq!(sizes(2, 12, 24), (4, vec![12, 13]), "too many sets: each node with its nearest");
}

#[test]
fn the_preference_is_read_as_it_is_configured() {
    let read = |text: &str| serde_json::from_str::<PlacePolicy>(text).map(|policy| policy.hint_preference);
    assert_eq!(read("{}").unwrap(), HintPreference::Spreading);
    assert_eq!(read(r#"{"hintPreference":"packing"}"#).unwrap(), HintPreference::Packing);
    let dynamic = HintPreference::DynamicPacking { low_threshold: Permille::new(250) };
    assert_eq!(read(r#"{"hintPreference":{"dynamicPacking":{"lowThreshold":"25%"}}}"#).unwrap(), dynamic);
    assert!(read(r#"{"hintPreference":{"dynamicPacking":{}}}"#).is_err());
    let policy =
        PlacePolicy { hint_preference: HintPreference::DynamicPacking { low_threshold: Permille::new(1010) }, ..PlacePolicy::default() };
    assert_eq!(policy.validate(&four_nodes()), ["hintPreference: lowThreshold 101% is more than the whole node"]);
}
