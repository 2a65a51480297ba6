//! The merge against trying every combination, which is how kubelet and Katalyst define it.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use gleaner_model::NumaId;
use proptest::prelude::*;

const NODES: u32 = 5;
const AND: [TopologyPolicy; 3] = [TopologyPolicy::BestEffort, TopologyPolicy::Restricted, TopologyPolicy::SingleNumaNode];

fn nodes() -> NumaSet {
    (0..NODES).map(NumaId::new).collect()
}

/// Now and then a node that the machine does not have, and a set without nodes.
fn hint() -> impl Strategy<Value = Hint> {
    let ids = prop_oneof![12 => 0..NODES, 1 => Just(NODES + 2)];
    let set = prop::collection::btree_set(ids, 0..4).prop_map(|ids| ids.into_iter().map(NumaId::new).collect::<NumaSet>());
    let set = prop_oneof![8 => set.prop_map(Some), 1 => Just(None)];
    (set, any::<bool>()).prop_map(|(nodes, preferred)| Hint { nodes, preferred })
}

/// Each provider has names of its own, as kubelet's have.
fn providers() -> impl Strategy<Value = Vec<Provider>> {
    let list = prop_oneof![1 => Just(None), 12 => prop::collection::vec(hint(), 0..5).prop_map(Some)];
    let names = prop::sample::subsequence(vec!["cpu", "memory", "gpu"], 0..=3);
    let provider = (names, prop::collection::vec(list, 3));
    prop::collection::vec(provider, 0..3).prop_map(|all| {
        let named = all.into_iter().enumerate().map(|(at, (names, lists))| {
            let name = |name: &str| if at == 0 { name.to_owned() } else { format!("{name}-{at}") };
            Provider(names.into_iter().map(name).zip(lists).collect())
        });
        named.collect()
    })
}

fn apart(from: NumaId, to: NumaId) -> Option<u32> {
    use gleaner_model::Id;
    Some(10 + (from.index() ^ to.index()) % 3 * 7)
}

fn options(near: bool) -> MergeOptions {
    MergeOptions { prefer_closest_numa: near, ..MergeOptions::default() }
}

fn run(policy: TopologyPolicy, near: bool, providers: &[Provider]) -> Merged {
    merge(policy, &options(near), &nodes(), &apart, providers)
}

/// Every combination of one hint of each list.
fn product(lists: &[Vec<Hint>]) -> Vec<Vec<Hint>> {
    lists.iter().fold(vec![Vec::new()], |combinations, list| {
        let longer = combinations.iter().flat_map(|begun| list.iter().map(move |hint| begun.iter().chain([hint]).cloned().collect()));
        longer.collect()
    })
}

/// Kubelet's definition.
fn by_product(policy: TopologyPolicy, near: bool, providers: &[Provider]) -> (Hint, bool) {
    let lists: Vec<Vec<Hint>> = offer::all(providers).into_iter().map(|(_, list)| list).collect();
    let single = policy == TopologyPolicy::SingleNumaNode;
    let lists = if single { single_node_hints(&lists) } else { lists };
    let order = if near && !single { HintOrder::closest(&lists, &apart) } else { HintOrder::narrowest(&lists) };
    let mut best: Option<Hint> = None;
    for combination in product(&lists) {
        let named: Vec<&NumaSet> = combination.iter().filter_map(|hint| hint.nodes.as_ref()).collect();
        let merged = Hint {
            nodes: Some(named.iter().fold(nodes(), |merged, set| merged.intersection(set))),
            preferred: combination.iter().all(|hint| hint.preferred) && named.windows(2).all(|pair| pair[0] == pair[1]),
        };
        if order.wins(&merged, best.as_ref()) {
            best = Some(merged);
        }
    }
    let mut best = best.unwrap_or_else(|| Hint::on(nodes(), false));
    best.nodes = best.nodes.filter(|set| !single || *set != nodes());
    let admit = policy == TopologyPolicy::BestEffort || best.preferred;
    (best, admit)
}

/// How good a combination is under `numeric`: preferred hints of others, nodes of the largest set, nodes in sum.
type Worth = (usize, std::cmp::Reverse<u32>, std::cmp::Reverse<u32>);

/// The definition of `numeric`; nothing when the combination does not fit.
fn worth(names: &[String], combination: &[Hint]) -> Option<Worth> {
    let align = MergeOptions::default().align_resources;
    let (aligned, others): (Vec<_>, Vec<_>) = names.iter().zip(combination).partition(|(name, _)| align.contains(*name));
    let named = |hints: &[(&String, &Hint)]| hints.iter().filter_map(|(_, hint)| hint.nodes.clone()).collect::<Vec<NumaSet>>();
    let equal = named(&aligned).windows(2).all(|pair| pair[0] == pair[1]);
    let willing = aligned.iter().all(|(_, hint)| hint.nodes.is_some() || hint.preferred);
    let one = aligned.is_empty() || aligned.iter().any(|(_, hint)| hint.preferred);
    let sets: Vec<NumaSet> = combination.iter().filter_map(|hint| hint.nodes.clone()).collect();
    let known = sets.iter().all(|set| !set.is_empty() && set.is_subset(&nodes()));
    let nested = sets.iter().all(|a| sets.iter().all(|b| a.is_subset(b) || b.is_subset(a)));
    let counts = || sets.iter().map(NumaSet::count);
    let preferred = others.iter().filter(|(_, hint)| hint.preferred).count();
    let worth = (preferred, std::cmp::Reverse(counts().max().unwrap_or(0)), std::cmp::Reverse(counts().sum()));
    (equal && willing && one && known && nested).then_some(worth)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn the_answer_is_that_of_every_combination(providers in providers(), near in any::<bool>()) {
        for policy in AND {
            let merged = run(policy, near, &providers);
            let (hint, admit) = by_product(policy, near, &providers);
            prop_assert_eq!(merged.admit, admit, "{} {:?}", policy, merged);
            prop_assert!(!merged.cut && !merged.hints.is_empty());
            for (resource, own) in &merged.hints {
                prop_assert_eq!(own, &hint, "{} for {}", policy, resource);
            }
        }
    }

    #[test]
    fn numeric_finds_as_good_a_combination_as_there_is(providers in providers()) {
        let (names, lists): (Vec<String>, Vec<Vec<Hint>>) = offer::all(&providers).into_iter().unzip();
        let nowhere = providers.iter().any(Provider::says_nowhere);
        let best = product(&lists).iter().filter_map(|combination| worth(&names, combination)).max().filter(|_| !nowhere);
        let merged = run(TopologyPolicy::Numeric, false, &providers);
        prop_assert_eq!(merged.admit, best.is_some(), "best {:?}, merged {:?}", best, merged);
        if let Some(best) = best {
            let chosen: Vec<Hint> = names.iter().map(|name| merged.hints[name].clone()).collect();
            prop_assert_eq!(worth(&names, &chosen), Some(best), "{:?}", merged);
            for (hint, list) in chosen.iter().zip(&lists) {
                prop_assert!(list.contains(hint), "{} was not offered", hint);
            }
        }
    }

    #[test]
    fn the_order_of_providers_and_hints_has_no_meaning(providers in providers(), near in any::<bool>()) {
        let mut turned: Vec<Provider> = providers.iter().rev().cloned().collect();
        turned.iter_mut().flat_map(|provider| provider.0.values_mut().flatten()).for_each(|list| list.reverse());
        for policy in AND.into_iter().chain([TopologyPolicy::None, TopologyPolicy::Numeric]) {
            prop_assert_eq!(run(policy, near, &turned), run(policy, near, &providers), "{}", policy);
        }
    }

    #[test]
    fn no_answer_leaves_the_machine(providers in providers(), near in any::<bool>()) {
        for policy in AND.into_iter().chain([TopologyPolicy::Numeric]) {
            for hint in run(policy, near, &providers).hints.into_values() {
                prop_assert!(hint.nodes.as_ref().is_none_or(|set| !set.is_empty() && set.is_subset(&nodes())), "{} gives {}", policy, hint);
            }
        }
    }

    #[test]
    fn the_strict_policies_admit_only_what_is_preferred(providers in providers(), near in any::<bool>()) {
        for policy in [TopologyPolicy::Restricted, TopologyPolicy::SingleNumaNode] {
            let merged = run(policy, near, &providers);
            prop_assert_eq!(merged.admit, merged.hints.values().all(|hint| hint.preferred), "{} {:?}", policy, merged);
            prop_assert_eq!(merged.admit, merged.refusal(policy, &providers).is_none());
        }
    }
}
