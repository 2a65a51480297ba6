#![allow(clippy::unwrap_used, reason = "tests")]

use super::policy::take;
use super::*;
use crate::fixtures::{cpus, machine};
use gleaner_model::{Bytes, CoreId, CpuInfo, NodeInfo, NumaSet, RawCpu, Topology};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DYNAMIC: TakePolicy = TakePolicy::Dynamic(Order::Lowest);

/// What is asked of a machine: of every CPU whether it is free, the taker's, held alone by another or anybody's, and its cost.
#[derive(Debug, Clone)]
struct Question {
    topology: Topology,
    free: CpuSet,
    own: CpuSet,
    held: CpuSet,
    costs: BTreeMap<CpuId, u32>,
    cpus: u32,
    whole_cores: bool,
    /// Nodes that are named, and whether all give the same.
    nodes: Option<(NumaSet, bool)>,
}

impl Question {
    fn take(&self, order: Order) -> Option<CpuSet> {
        let cost = |cpu: CpuId| self.costs.get(&cpu).copied().unwrap_or(0);
        let wanted = Wanted { cpus: self.cpus, whole_cores: self.whole_cores, own: &self.own, held: &self.held, cost: &cost };
        let nodes = match &self.nodes {
            None => Nodes::Any,
            Some((named, false)) => Nodes::Each(named),
            Some((named, true)) => Nodes::Even(named),
        };
        take_cpus(&self.topology, &self.free, &wanted, nodes, &TakePolicy::Dynamic(order))
    }

    fn by<K: Ord>(&self, set: &CpuSet, key: impl Fn(&CpuInfo) -> Option<K>) -> BTreeMap<K, CpuSet> {
        let mut groups: BTreeMap<K, CpuSet> = BTreeMap::new();
        for cpu in set.iter() {
            if let Some(key) = key(self.topology.cpu(cpu).unwrap()) {
                groups.entry(key).or_default().insert(cpu);
            }
        }
        groups
    }

    fn cores(&self, set: &CpuSet) -> BTreeMap<CoreId, CpuSet> {
        self.by(set, |info| Some(info.core))
    }

    /// Free CPUs, of whole cores where only these may be taken.
    fn offered(&self) -> CpuSet {
        let all = self.topology.cores();
        let whole = |core: &CoreId, part: &CpuSet| !self.whole_cores || all[core].difference(part).is_subset(&self.own);
        let cores = self.cores(&self.free).into_iter().filter(|(core, part)| whole(core, part));
        cores.fold(CpuSet::new(), |sum, (_, part)| sum.union(&part))
    }

    fn allows(&self, set: &CpuSet) -> bool {
        let offered = self.cores(&self.offered());
        let whole = self.cores(set).iter().all(|(core, part)| !self.whole_cores || part == &offered[core]);
        let on_node = self.by(set, |info| Some(info.numa));
        let nodes = self.nodes.as_ref().is_none_or(|(named, even)| {
            let share = self.cpus.checked_div(u32::try_from(named.len()).unwrap()).unwrap_or(0);
            let all = named.iter().all(|node| on_node.get(&node).is_some_and(|cpus| !even || cpus.count() == share));
            all && (!even || on_node.keys().all(|node| named.contains(*node)))
        });
        whole && nodes && set.count() == self.cpus
    }

    /// The cost as it is documented, counted group by group.
    fn cost(&self, set: &CpuSet) -> [u32; 9] {
        let offered = self.offered();
        let all_cores = self.topology.cores();
        let (mut touched, mut left) = ([0; 4], 0);
        let keys: [fn(&CpuInfo) -> Option<u32>; 4] = [
            |info| Some(info.package.index()),
            |info| Some(info.numa.index()),
            |info| info.l3.map(Id::index),
            |info| Some(info.core.index()),
        ];
        for (at, key) in keys.iter().enumerate() {
            let (own, open) = (self.by(&self.own, key), self.by(&offered, key));
            for (group, taken) in self.by(set, key) {
                touched[at] += u32::from(!own.contains_key(&group));
                left += if at < 3 { open[&group].count() - taken.count() } else { 0 };
            }
        }
        let cores = self.cores(set);
        let held = cores.keys().filter(|core| !all_cores[*core].is_disjoint(&self.held)).count();
        let torn = cores.iter().map(|(core, part)| self.cores(&offered)[core].count() - part.count()).sum();
        let uneven = self.by(set, |info| Some(info.numa)).values().map(|part| part.count().pow(2)).sum();
        let caller = set.iter().map(|cpu| self.costs.get(&cpu).copied().unwrap_or(0)).sum();
        let [packages, nodes, caches, cores] = touched;
        [u32::try_from(held).unwrap(), packages, nodes, caches, cores, caller, uneven, torn, left]
    }

    /// The least cost over all choices.
    fn least(&self) -> Option<([u32; 9], CpuSet)> {
        let open: Vec<CpuId> = self.offered().iter().collect();
        let subset = |mask: u32| open.iter().zip(0u32..).filter(|(_, bit)| mask >> bit & 1 == 1).map(|(cpu, _)| *cpu).collect();
        let masks = (0u32..1 << open.len()).filter(|mask| mask.count_ones() == self.cpus);
        masks.map(subset).filter(|set| self.allows(set)).map(|set| (self.cost(&set), set)).min()
    }
}

/// Machines of up to `cores` unequal cores in groups of three widths, which of them is the package, the node and the cache is open. With
/// `nested` each group is inside one wider group.
pub(super) fn machines(cores: usize, nested: bool) -> impl Strategy<Value = Topology> {
    let core = (1u32..=2, 0usize..4, 0usize..3, 0usize..2);
    let ids = Just((0..u32::try_from(cores * 2).unwrap()).collect::<Vec<u32>>()).prop_shuffle();
    let links = (proptest::collection::vec(0usize..3, 4), proptest::collection::vec(0usize..2, 3), 0usize..6, any::<bool>());
    (proptest::collection::vec(core, 1..=cores), ids, links).prop_map(move |(cores, ids, (to_mid, to_wide, roles, l3))| {
        let [package, numa, cache] = [[2, 1, 0], [1, 2, 0], [2, 0, 1], [1, 0, 2], [0, 2, 1], [0, 1, 2]][roles];
        let mut ids = ids.into_iter();
        let mut raw = Vec::new();
        for (at, (threads, narrow, mid, wide)) in cores.into_iter().enumerate() {
            let mid = if nested { to_mid[narrow] } else { mid };
            let groups = [narrow, mid, if nested { to_wide[mid] } else { wide }];
            for cpu in ids.by_ref().take(threads as usize) {
                raw.push(RawCpu {
                    cpu: CpuId::new(cpu),
                    core: at as u64,
                    package: groups[package] as u64,
                    l3: l3.then_some(groups[cache] as u64),
                    numa: NumaId::new(u32::try_from(groups[numa]).unwrap()),
                });
            }
        }
        let node =
            |id| NodeInfo { id: NumaId::new(id), memory: Bytes::new(1 << 30), distances: BTreeMap::new(), hugepages: BTreeMap::new() };
        Topology::build(raw, (0..4).map(node).collect()).unwrap()
    })
}

fn questions(cores: usize, nested: bool) -> impl Strategy<Value = Question> {
    let states = proptest::collection::vec((0u8..8, 0u32..3), cores * 2);
    let named = proptest::option::of((1u8..16, any::<bool>()));
    (machines(cores, nested), states, any::<bool>(), named, 0u32..=100).prop_map(|(topology, states, whole_cores, named, share)| {
        let mut sets = [CpuSet::new(), CpuSet::new(), CpuSet::new(), CpuSet::new()];
        let mut costs = BTreeMap::new();
        for (cpu, (state, cost)) in topology.cpus().iter().zip(states) {
            sets[match state {
                0..5 => 0,
                5 => 1,
                6 => 2,
                _ => 3,
            }]
            .insert(cpu);
            costs.insert(cpu, cost);
        }
        let [free, own, held, _] = sets;
        let cpus = free.count() * share / 100;
        let nodes = named.map(|(mask, even)| {
            let all = topology.nodes_of(&topology.cpus());
            let some: NumaSet = all.iter().filter(|node| mask >> node.index() & 1 == 1).collect();
            (if some.is_empty() { all } else { some }, even)
        });
        let nodes = nodes.filter(|_| cpus > 0);
        Question { topology, free, own, held, costs, cpus, whole_cores, nodes }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn where_groups_nest_no_choice_costs_less(question in questions(5, true)) {
        let least = question.least();
        for order in [Order::Lowest, Order::Highest] {
            let taken = question.take(order);
            prop_assert_eq!(taken.is_some(), least.is_some(), "{:?}: took {:?}, there is {:?}", question, taken, least);
            if let (Some(taken), Some((cost, best))) = (taken, &least) {
                prop_assert!(question.allows(&taken) && taken.is_subset(&question.free), "{:?}: took {}", question, taken);
                prop_assert_eq!(&question.cost(&taken), cost, "{:?}: took {}, but {} is cheaper", question, taken, best);
            }
        }
    }

    #[test]
    fn on_any_machine_a_take_is_exact_free_and_whole_where_asked(question in questions(24, false)) {
        let taken = question.take(Order::Lowest);
        prop_assert_eq!(&taken, &question.take(Order::Lowest), "not the same twice: {:?}", question);
        let can = question.whole_cores || question.nodes.is_some() || question.free.count() >= question.cpus;
        prop_assert!(can && (taken.is_some() || question.whole_cores || question.nodes.is_some()), "{:?}", question);
        if let Some(taken) = taken {
            prop_assert!(question.allows(&taken) && taken.is_subset(&question.free), "{:?}: took {}", question, taken);
            let cores = question.topology.cores();
            let beside = |cpu: CpuId| !cores[&question.topology.cpu(cpu).unwrap().core].is_disjoint(&question.held);
            let apart = question.free.iter().filter(|cpu| !beside(*cpu)).count();
            let plain = !question.whole_cores && question.nodes.is_none();
            let avoidable = plain && apart >= usize::try_from(question.cpus).unwrap();
            prop_assert!(!avoidable || !taken.iter().any(beside), "{:?}: took {} beside a held thread", question, taken);
        }
    }
}

fn taken(topology: &Topology, free: &str, wanted: &Wanted<'_>, nodes: Nodes<'_>, policy: &TakePolicy) -> String {
    take(&Layout::new(topology), &cpus(free), wanted, nodes, policy).map_or_else(|| "none".to_owned(), |cpus| cpus.to_string())
}

fn plain(cpus: u32, none: &CpuSet) -> Wanted<'_> {
    Wanted { cpus, whole_cores: false, own: none, held: none, cost: &|_| 0 }
}

/// Two packages of two nodes of four cores; siblings are 16 apart.
#[test]
fn a_take_goes_where_it_leaves_the_largest_holes() {
    let topology = machine(2, 2, 4, 2);
    let none = CpuSet::new();
    for (why, free, count, expected) in [
        ("a core before two threads", "0-31", 2, "0,16"),
        ("a node that is partly used", "0-7,9-23,25-31", 2, "9,25"),
        ("a thread whose sibling is used", "0-20,22-31", 1, "5"),
        ("nodes of one package", "1-31", 16, "8-15,24-31"),
        ("two nodes give the same", "0-31", 12, "0-2,4-6,16-18,20-22"),
        ("nothing", "0-31", 0, ""),
        ("too many", "0-3", 5, "none"),
    ] {
        assert_eq!(taken(&topology, free, &plain(count, &none), Nodes::Any, &DYNAMIC), expected, "{why}: {count} of {free}");
    }
}

#[test]
fn of_cpus_that_are_alike_the_highest_are_taken_where_asked() {
    let topology = machine(2, 2, 4, 2);
    let none = CpuSet::new();
    let highest = TakePolicy::Dynamic(Order::Highest);
    assert_eq!(taken(&topology, "0-31", &plain(3, &none), Nodes::Any, &highest), "15,30-31");
    assert_eq!(taken(&topology, "0-31", &plain(12, &none), Nodes::Any, &highest), "9-11,13-15,25-27,29-31");
}

/// The taker has CPU 0, another owner CPU 1; CPU 2 is dear.
#[test]
fn owners_and_costs_decide_between_cpus_that_are_alike() {
    let topology = machine(1, 1, 6, 2);
    let (own, held) = (cpus("0"), cpus("1"));
    let cost = |cpu: CpuId| u32::from(cpu == CpuId::new(2));
    let ask = |count, whole_cores, free: &str| {
        taken(&topology, free, &Wanted { cpus: count, whole_cores, own: &own, held: &held, cost: &cost }, Nodes::Any, &DYNAMIC)
    };
    assert_eq!(ask(1, false, "2-11"), "6", "completes the taker's core");
    assert_eq!(ask(1, true, "2-11"), "6", "with what the taker has the core is whole");
    assert_eq!(ask(3, true, "2-11"), "3,6,9", "core 1 is another's, core 2 is dear");
    assert_eq!(ask(3, false, "2,7-8"), "2,7-8", "nothing else is left than the core of another");
    assert_eq!(ask(2, false, "2,7-8,10"), "2,8", "a dear core before one of another and before two cores");
}

#[test]
fn named_nodes_each_give_something_or_all_the_same() {
    let topology = machine(2, 2, 4, 2);
    let (none, three): (CpuSet, NumaSet) = (CpuSet::new(), "0-1,3".parse().unwrap());
    let whole = |cpus| Wanted { whole_cores: true, ..plain(cpus, &none) };
    let ask = |wanted: &Wanted<'_>, nodes| taken(&topology, "0-31", wanted, nodes, &DYNAMIC);
    assert_eq!(ask(&plain(3, &none), Nodes::Each(&three)), "0,4,12");
    assert_eq!(ask(&plain(2, &none), Nodes::Each(&three)), "none", "three nodes of two CPUs");
    assert_eq!(ask(&plain(6, &none), Nodes::Even(&three)), "0,4,12,16,20,28");
    assert_eq!(ask(&plain(7, &none), Nodes::Even(&three)), "none", "seven is no multiple of three");
    assert_eq!(ask(&whole(6), Nodes::Even(&three)), "0,4,12,16,20,28");
    assert_eq!(ask(&whole(9), Nodes::Even(&three)), "none", "three threads are no whole cores");
    assert_eq!(taken(&topology, "0-27", &whole(6), Nodes::Even(&three), &DYNAMIC), "none", "node 3 has single threads only");
}

#[test]
fn the_static_policy_takes_its_cpus_of_each_named_node() {
    let topology = machine(2, 2, 4, 2);
    let (none, two): (CpuSet, NumaSet) = (CpuSet::new(), "1-2".parse().unwrap());
    let packed = TakePolicy::Static(StaticOptions::default());
    let spread = TakePolicy::Static(StaticOptions { distribute_cpus_across_cores: true, ..StaticOptions::default() });
    assert_eq!(taken(&topology, "0-31", &plain(4, &none), Nodes::Any, &packed), "0-1,16-17");
    assert_eq!(taken(&topology, "0-31", &plain(4, &none), Nodes::Even(&two), &packed), "4,8,20,24");
    assert_eq!(taken(&topology, "0-31", &plain(4, &none), Nodes::Even(&two), &spread), "4-5,8-9");
}

#[test]
fn policies_are_configured_by_name_with_their_options() {
    let full = StaticOptions { full_pcpus_only: true, ..StaticOptions::default() };
    for (text, policy) in [
        (r#"{"dynamic": "lowest"}"#, TakePolicy::default()),
        (r#"{"dynamic": "highest"}"#, TakePolicy::Dynamic(Order::Highest)),
        (r#"{"static": {}}"#, TakePolicy::Static(StaticOptions::default())),
        (r#"{"static": {"fullPcpusOnly": true}}"#, TakePolicy::Static(full)),
    ] {
        assert_eq!(serde_json::from_str::<TakePolicy>(text).unwrap(), policy, "{text}");
    }
    serde_json::from_str::<TakePolicy>(r#"{"static": {"fullPcpus": true}}"#).unwrap_err();
}
