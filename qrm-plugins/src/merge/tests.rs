#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::hint::Hints;
use gleaner_model::NumaId;

fn set(text: &str) -> NumaSet {
    text.parse().unwrap()
}

/// `0-1!` is preferred, `0-1` is not, `*` is any node.
fn hint(text: &str) -> Hint {
    let (nodes, preferred) = text.strip_suffix('!').map_or((text, false), |nodes| (nodes, true));
    Hint { nodes: (nodes != "*").then(|| set(nodes)), preferred }
}

fn offers(resource: &str, hints: &[&str]) -> Provider {
    Provider(BTreeMap::from([(resource.to_owned(), Some(hints.iter().map(|text| hint(text)).collect()))]))
}

fn run(policy: TopologyPolicy, providers: &[Provider]) -> Merged {
    merge(policy, &MergeOptions::default(), &set("0-3"), &|_, _| None, providers)
}

#[test]
fn policies_have_kubelets_names() {
    for (policy, name) in [
        (TopologyPolicy::None, "none"),
        (TopologyPolicy::BestEffort, "best-effort"),
        (TopologyPolicy::Restricted, "restricted"),
        (TopologyPolicy::SingleNumaNode, "single-numa-node"),
        (TopologyPolicy::Numeric, "numeric"),
    ] {
        assert_eq!(serde_json::to_value(policy).unwrap(), name);
        assert_eq!(policy.to_string(), name);
        assert_eq!(serde_json::from_value::<TopologyPolicy>(name.into()).unwrap(), policy);
    }
    assert_eq!(serde_json::from_value::<TopologyScope>("pod".into()).unwrap(), TopologyScope::Pod);
    assert_eq!(serde_json::from_str::<MergeOptions>("{}").unwrap(), MergeOptions::default());
}

#[test]
fn a_refusal_says_policy_need_and_offers() {
    let providers = [
        offers("cpu", &["0!", "1!", "0-1", "0-2", "0-3"]),
        offers("memory", &["2!"]),
        offers("gpu", &[]),
        Provider::of("nic", Hints::NoPreference),
        Provider::default(),
    ];
    let refused = run(TopologyPolicy::Restricted, &providers).refusal(TopologyPolicy::Restricted, &providers).unwrap();
    assert_eq!(
        refused.to_string(),
        "topology policy: restricted needs one set of nodes that every resource prefers; offered: cpu: nodes 0, preferred or nodes 1, preferred \
         or nodes 0-1 or nodes 0-2 or 1 more; memory: nodes 2, preferred; gpu: nowhere; nic: no preference"
    );
    assert_eq!(run(TopologyPolicy::BestEffort, &providers).refusal(TopologyPolicy::BestEffort, &providers), None);
}

#[test]
fn hints_that_are_not_preferred_come_up_to_the_target_from_below() {
    // With target 3, the best first.
    let sets = ["0-2", "0-1,3", "1-3", "0-1", "0,2", "1-2", "0,3", "0", "2", "0-3", "0-2,4", "0-4"];
    let order = HintOrder::with_target(3);
    for (at, better) in sets.iter().enumerate() {
        for worse in sets.iter().skip(at + 1) {
            let (better, worse) = (hint(better), hint(worse));
            assert!(order.wins(&better, Some(&worse)), "{better} against {worse}");
            assert!(!order.wins(&worse, Some(&better)), "{worse} against {better}");
        }
    }
}

#[test]
fn preferred_hints_go_by_size_then_distance_then_number() {
    let apart = |from: NumaId, to: NumaId| Some(if from == to { 10 } else { 20 + u32::from(from.min(to) == NumaId::new(0)) });
    let order = HintOrder::closest(&[], &apart);
    for (better, worse) in [("0!", "1-2!"), ("1-2!", "0-1!"), ("1-2!", "0,3!"), ("1-2!", "2-3!"), ("0-3!", "0"), ("1-2!", "0")] {
        assert!(order.wins(&hint(better), Some(&hint(worse))), "{better} against {worse}");
    }
    assert!(HintOrder::with_target(0).wins(&hint("1-2!"), Some(&hint("0,3!"))), "6 is less than 9");
    assert!(!order.wins(&hint("!"), None), "no node is no place");
}

#[test]
fn numeric_takes_the_smallest_largest_set_then_the_fewest_nodes_in_sum() {
    for (providers, expected) in [
        // Two nodes each, rather than one, one and three.
        (vec![offers("a", &["2!", "0-1!"]), offers("b", &["2!", "0-1!"]), offers("c", &["0-1!", "1-3!"])], [("a", "0-1!"), ("c", "0-1!")]),
        // The aligned resources count each on its own.
        (
            vec![offers("cpu", &["0!", "1-3!"]), offers("memory", &["0!", "1-3!"]), offers("a", &["0-3!", "1!"]), offers("b", &["0-3!"])],
            [("cpu", "0!"), ("a", "0-3!")],
        ),
    ] {
        let merged = run(TopologyPolicy::Numeric, &providers);
        for (resource, set) in expected {
            assert_eq!(merged.hints.get(resource), Some(&hint(set)), "{resource} in {merged:?}");
        }
    }
}

#[test]
fn numeric_decides_between_equals_whatever_the_order_of_providers() {
    let providers = [offers("a", &["0!", "0-2!"]), offers("b", &["1!", "0-2!"])];
    let turned = [providers[1].clone(), providers[0].clone()];
    assert_eq!(run(TopologyPolicy::Numeric, &providers), run(TopologyPolicy::Numeric, &turned));
}

#[test]
fn numeric_counts_every_aligned_resource_when_it_looks_for_a_preferred_one() {
    let options = MergeOptions { align_resources: ["a", "b", "c"].map(str::to_owned).into(), ..MergeOptions::default() };
    let providers = [offers("a", &["0!"]), offers("b", &["0"]), offers("c", &["0"])];
    let merged = merge(TopologyPolicy::Numeric, &options, &set("0-3"), &|_, _| None, &providers);
    assert!(merged.admit, "a is preferred: {merged:?}");
}

#[test]
fn numeric_does_not_align_two_resources_by_way_of_a_third_without_preference() {
    let options = MergeOptions { align_resources: ["a", "b", "c"].map(str::to_owned).into(), ..MergeOptions::default() };
    let providers = [offers("a", &["0!"]), offers("b", &["*!"]), offers("c", &["0-1!"])];
    assert!(!merge(TopologyPolicy::Numeric, &options, &set("0-3"), &|_, _| None, &providers).admit);
}

#[test]
fn numeric_passes_over_nodes_that_the_machine_does_not_have() {
    let merged = run(TopologyPolicy::Numeric, &[offers("cpu", &["9!", "1!"]), offers("gpu", &["0-1", "1,9!"])]);
    let hints = BTreeMap::from([("cpu".to_owned(), hint("1!")), ("gpu".to_owned(), hint("0-1"))]);
    assert_eq!(merged, Merged { hints, admit: true, cut: false });
}

#[test]
fn numeric_refuses_when_a_resource_fits_nowhere_even_beside_one_without_preference() {
    let merged = run(TopologyPolicy::Numeric, &[offers("gpu", &[]), Provider::default()]);
    assert_eq!(merged, Merged { hints: BTreeMap::new(), admit: false, cut: false });
}

#[test]
fn a_resource_that_two_providers_name_has_the_smaller_set_under_numeric() {
    let merged = run(TopologyPolicy::Numeric, &[offers("gpu", &["0-1!"]), offers("gpu", &["1"])]);
    assert_eq!(merged.hints, BTreeMap::from([("gpu".to_owned(), hint("1"))]));
}

#[test]
fn numeric_refuses_and_says_so_when_there_is_too_much_to_search() {
    let wide: Vec<String> = (0..4).map(|at| at.to_string()).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    let providers: Vec<Provider> = (0..30).map(|at| offers(&format!("device-{at}"), &wide)).collect();
    let merged = run(TopologyPolicy::Numeric, &providers);
    assert!(merged.cut && !merged.admit);
    let line = merged.refusal(TopologyPolicy::Numeric, &providers).unwrap().to_string();
    assert!(line.ends_with("; not every combination was looked at"), "{line}");
}

/// The example of docs/topology-policies.md.
#[test]
fn the_documented_example_is_true() {
    let providers = [offers("cpu", &["0!", "1!", "0-1"]), offers("memory", &["0-1!", "2-3!"])];
    let merged = |policy| run(policy, &providers);
    let both = |cpu: &str, memory: &str| BTreeMap::from([("cpu".to_owned(), hint(cpu)), ("memory".to_owned(), hint(memory))]);
    assert_eq!(merged(TopologyPolicy::BestEffort).hints, both("0-1", "0-1"));
    assert_eq!(merged(TopologyPolicy::Numeric).hints, both("0-1", "0-1!"));
    assert!(!merged(TopologyPolicy::SingleNumaNode).admit);
    let line = merged(TopologyPolicy::Restricted).refusal(TopologyPolicy::Restricted, &providers).unwrap().to_string();
    let page = include_str!("../../../docs/topology-policies.md");
    assert!(page.lines().any(|shown| shown.trim() == line), "the page does not show {line}");
}

/// All sets of nodes 0 to `nodes`, those of one size preferred.
fn everything(resource: &str, nodes: u32, preferred: u32) -> Provider {
    let sets = (1..1_u32 << nodes).map(|bits| (0..nodes).filter(|at| bits >> at & 1 == 1).map(NumaId::new).collect::<NumaSet>());
    Provider::of(resource, Hints::List(sets.map(|set| Hint::on(set.clone(), set.count() == preferred)).collect()))
}

/// About 7e10 combinations.
#[test]
fn all_sets_of_twelve_nodes_from_three_providers_are_merged() {
    let all: NumaSet = (0..12).map(NumaId::new).collect();
    let run = |preferred: [u32; 3]| {
        let providers: Vec<Provider> =
            ["cpu", "memory", "gpu"].iter().zip(preferred).map(|(name, size)| everything(name, 12, size)).collect();
        merge(TopologyPolicy::BestEffort, &MergeOptions::default(), &all, &|_, _| None, &providers)
    };
    assert_eq!(run([3, 3, 3]).hints.get("cpu"), Some(&hint("0-2!")));
    let torn = run([3, 4, 5]);
    assert_eq!((torn.hints.get("cpu"), torn.cut), (Some(&hint("0")), false));
}

/// About 3e14 combinations.
#[test]
fn numeric_searches_all_sets_of_eight_nodes_from_six_providers() {
    let sizes = [("cpu", 2), ("memory", 3), ("gpu", 1), ("nic", 2), ("fpga", 4), ("disk", 1)];
    let providers = sizes.map(|(name, size)| everything(name, 8, size));
    let all: NumaSet = (0..8).map(NumaId::new).collect();
    let merged = merge(TopologyPolicy::Numeric, &MergeOptions::default(), &all, &|_, _| None, &providers);
    let expected = [("cpu", "0-1!"), ("memory", "0-1"), ("gpu", "0!"), ("nic", "0-1!"), ("fpga", "0-3!"), ("disk", "0!")];
    let hints = expected.into_iter().map(|(name, text)| (name.to_owned(), hint(text))).collect();
    assert_eq!(merged, Merged { hints, admit: true, cut: false });
}
