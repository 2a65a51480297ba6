//! Where a pod's memory could come from.

use super::account::{Account, Amounts, Kind, Ledger, NodeMemory};
use super::policy::MemoryPolicy;
use crate::subsets::{ALL_SIZES, HINTED, Widths, of_size};
use crate::{Hint, Hints, Node, Refusal, Rule};
use gleaner_model::{Bytes, NumaBinding, NumaId, NumaPlacement, NumaSet, PageSize, PodUid, QosClass, QosSpec};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A pod that asks where its memory could come from.
#[derive(Debug, Clone, Copy)]
pub struct MemoryAsked<'a> {
    /// The pod. One that has its nodes already asks to keep them.
    pub pod: &'a PodUid,
    /// What its annotations ask for.
    pub qos: &'a QosSpec,
    /// The memory that it asks for; of a reclaimed pod the reclaimed memory.
    pub memory: Bytes,
    /// Huge pages by their size, in bytes.
    pub hugepages: &'a BTreeMap<PageSize, Bytes>,
}

/// The NUMA nodes that a pod's memory could come from.
///
/// - A pod that has its nodes: these and no others.
/// - Without `numa_binding`: no preference, as long as the node as a whole has enough.
/// - With it: sets of nodes that have the memory and the huge pages, the smallest first; preferred are those as small as an empty machine
///   would need. How many nodes follows the rule for CPUs: `numa_ids` and `numa_number` at their word, with `numa_exclusive` as many as it
///   takes, else one.
///
/// Nodes are those that have CPUs; one without memory stands for the nearest with. What pods without `numa_binding` request must still fit
/// afterwards. Reclaimed memory is lent, so it only has to fit beside other reclaimed memory that is bound to the node; whether so much can
/// be lent is not decided here.
///
/// # Errors
/// The rule that leaves no node, with the numbers.
pub fn memory_hints(node: &Node<'_>, asked: &MemoryAsked<'_>, policy: &MemoryPolicy) -> Result<Hints, Refusal> {
    for (size, amount) in asked.hugepages {
        if size.count_in(*amount).is_none() {
            return Err(Refusal::by(Rule::BadRequest, format!("hugepages-{size}: {amount} is no multiple of the page size")));
        }
    }
    let bound = asked.qos.memory.numa_binding != NumaBinding::Unbound;
    if let Some(nodes) = node.assignment.nodes.get(asked.pod).filter(|nodes| bound && !nodes.is_empty()) {
        return Ok(Hints::List(vec![Hint::on(nodes.clone(), true)]));
    }
    if !bound && node.assignment.members.contains_key(asked.pod) {
        return Ok(Hints::NoPreference);
    }
    let search = Search::new(node, asked, policy);
    search.offered()?;
    if bound { search.hints().map(Hints::List) } else { search.anywhere().map(|()| Hints::NoPreference) }
}

struct Search<'a> {
    node: &'a Node<'a>,
    asked: &'a MemoryAsked<'a>,
    /// What is asked of the node's own memory.
    wants: Vec<Want>,
    /// What is asked of lent memory.
    lent: Bytes,
    ledger: Ledger<'a>,
    /// Nodes that shared pods without `numa_binding` may use.
    open: NumaSet,
}

/// Memory, or huge pages of one size, that the pod asks for.
#[derive(Debug, Clone, Copy)]
struct Want {
    kind: Kind,
    asked: Bytes,
    /// What no bound pod has on the whole node.
    free: Bytes,
}

impl<'a> Search<'a> {
    fn new(node: &'a Node<'a>, asked: &'a MemoryAsked<'a>, policy: &MemoryPolicy) -> Self {
        let reclaimed = asked.qos.class == QosClass::Reclaimed;
        let (own, lent) = if reclaimed { (Bytes::ZERO, asked.memory) } else { (asked.memory, Bytes::ZERO) };
        let amounts = Amounts { memory: own, hugepages: asked.hugepages.clone() };
        let ledger = Ledger::new(node, policy, Some(asked.pod));
        let all = ledger.all();
        let wants = amounts.kinds().map(|kind| Want { kind, asked: amounts.get(kind), free: ledger.free(&all, kind) }).collect();
        let open = ledger.rules.open(QosClass::Shared);
        Self { node, asked, wants, lent, ledger, open }
    }

    fn exclusive(&self) -> bool {
        self.asked.qos.memory.numa_binding == NumaBinding::Exclusive
    }

    /// Refuses huge pages of a size that the machine has nowhere.
    fn offered(&self) -> Result<(), Refusal> {
        for Want { kind, asked, .. } in &self.wants {
            let none = |node: &NodeMemory| node.account(*kind).is_none_or(|account| account.capacity.is_zero());
            if self.ledger.nodes.values().all(none) {
                return Err(Refusal::by(rule(*kind), format!("asks for {asked} {}, the node has none", name(*kind))));
            }
        }
        Ok(())
    }

    /// Whether the node as a whole has enough for a pod without `numa_binding`.
    fn anywhere(&self) -> Result<(), Refusal> {
        for Want { kind, asked, .. } in self.wants.iter().copied() {
            let mut bounds = vec![(self.ledger.all(), &self.ledger.unbound)];
            if self.asked.qos.class == QosClass::Shared {
                bounds.push((self.open.clone(), &self.ledger.shared));
            }
            for (nodes, others) in bounds {
                let (free, others) = (self.ledger.free(&nodes, kind), others.get(kind));
                if asked.plus(others) > free {
                    let left = free.minus(others);
                    let cause =
                        format!("asks for {asked} {}, {left} of {free} are free on NUMA nodes {nodes}: {others} are requested", name(kind));
                    return Err(Refusal::by(rule(kind), cause));
                }
            }
        }
        Ok(())
    }

    /// Sets of nodes for a bound pod; never empty.
    fn hints(&self) -> Result<Vec<Hint>, Refusal> {
        let nodes: Vec<NumaId> = self.node.topology.nodes().filter(|(_, info)| !info.cpus.is_empty()).map(|(id, _)| id).collect();
        let all: NumaSet = nodes.iter().copied().collect();
        let (sizes, only) = self.sizes(&all)?;
        let candidates = |size| match &only {
            Some(ids) => vec![ids.clone()],
            None => of_size(self.node.topology, &nodes, size, HINTED),
        };
        let mut found: Vec<NumaSet> = Vec::new();
        let mut sizes_found = 0;
        for size in sizes.clone() {
            let before = found.len();
            found.extend(candidates(size).into_iter().filter(|set| self.does(set)));
            sizes_found += usize::from(found.len() > before);
            if sizes_found == 2 && nodes.len() > ALL_SIZES {
                break;
            }
        }
        if found.is_empty() {
            return Err(self.cause(&all, &sizes, only.as_ref()));
        }
        let least = sizes.into_iter().find(|size| candidates(*size).iter().any(|set| self.could(set))).unwrap_or(usize::MAX);
        let widths = Widths::new(self.node.topology, &nodes);
        found.sort_by_cached_key(|set| (set.len(), widths.of(set), set.clone()));
        Ok(found.into_iter().map(|set| Hint { preferred: set.len() <= least, nodes: Some(set) }).collect())
    }

    /// How many nodes, and which where they are named.
    fn sizes(&self, all: &NumaSet) -> Result<(RangeInclusive<usize>, Option<NumaSet>), Refusal> {
        match (&self.asked.qos.cpu.placement, self.asked.qos.class) {
            (NumaPlacement::Ids(ids), _) if ids.is_empty() || !ids.is_subset(all) => {
                Err(Refusal::by(Rule::NumaIds, format!("asks for NUMA nodes {ids}, those with CPUs are {all}")))
            }
            (NumaPlacement::Ids(ids), _) => Ok((ids.len()..=ids.len(), Some(ids.clone()))),
            (NumaPlacement::Number(number), QosClass::Dedicated) => {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                if (1..=all.len()).contains(&number) {
                    return Ok((number..=number, None));
                }
                Err(Refusal::by(Rule::NumaNumber, format!("asks for {number} NUMA nodes, {} have CPUs", all.len())))
            }
            (_, QosClass::Dedicated) if self.exclusive() => Ok((1..=all.len(), None)),
            _ => Ok((1..=1, None)),
        }
    }

    /// Whether the pod can have these nodes.
    fn does(&self, nodes: &NumaSet) -> bool {
        let mems = self.ledger.rules.near(nodes);
        let enough = |want: &Want| self.ledger.free(&mems, want.kind) >= want.asked && self.leaves_too_little(&mems, *want).is_none();
        self.barred(&mems).is_none() && self.wants.iter().all(enough) && (self.lent.is_zero() || self.lendable(&mems) >= self.lent)
    }

    /// Whether the pod could have these nodes on an empty machine.
    fn could(&self, nodes: &NumaSet) -> bool {
        let mems = self.ledger.rules.near(nodes);
        let usable = |account: &Account| account.capacity.minus(account.reserved);
        let sum = |kind| mems.iter().filter_map(|id| self.ledger.nodes.get(&id)?.account(kind)).map(usable).sum::<Bytes>();
        self.wants.iter().all(|want| sum(want.kind) >= want.asked) && sum(Kind::Memory) >= self.lent
    }

    /// What could be lent to reclaimed pods on these nodes at most, beside those that are bound to them.
    fn lendable(&self, mems: &NumaSet) -> Bytes {
        let of = |node: &NodeMemory| node.memory.capacity.minus(node.memory.reserved).minus(node.lent);
        mems.iter().filter_map(|id| self.ledger.nodes.get(&id)).map(of).sum()
    }

    /// The rule that keeps the pod off one of these nodes, whatever is free there.
    fn barred(&self, mems: &NumaSet) -> Option<Refusal> {
        let rules = &self.ledger.rules;
        let taken = mems.intersection(rules.exclusive());
        if !taken.is_empty() {
            return Some(Refusal::by(Rule::NumaExclusive, format!("NUMA nodes {taken} are another pod's alone")));
        }
        let unshared = mems.intersection(rules.unshared());
        if !unshared.is_empty() && self.asked.qos.class != QosClass::Dedicated {
            return Some(Refusal::by(Rule::NumaShare, format!("NUMA nodes {unshared} are shared with dedicated pods only")));
        }
        let tenants: NumaSet = mems.iter().filter(|id| self.ledger.tenants.contains_key(id)).collect();
        let alone = self.exclusive().then(|| Refusal::by(Rule::NumaExclusive, format!("NUMA nodes {tenants} have bound pods already")));
        alone.filter(|_| !tenants.is_empty())
    }

    /// Refuses what would leave too little for pods without `numa_binding`.
    fn leaves_too_little(&self, mems: &NumaSet, want: Want) -> Option<Refusal> {
        let (ledger, kind) = (&self.ledger, want.kind);
        let takes = |nodes: &NumaSet| {
            let there = ledger.free(nodes, kind);
            if self.exclusive() { there } else { there.min(want.asked) }
        };
        let left = want.free.minus(takes(mems));
        if left < ledger.unbound.get(kind) {
            return Some(too_little(kind, left, ledger.unbound.get(kind), &ledger.all()));
        }
        let requested = ledger.shared.get(kind);
        if requested.is_zero() {
            return None;
        }
        let closes = self.exclusive() || self.asked.qos.class == QosClass::Shared || !self.asked.qos.cpu.numa_share;
        let open = if closes { self.open.difference(mems) } else { self.open.clone() };
        // With no node left to themselves, they may use those of bound pods.
        let open = if open.is_empty() { ledger.all() } else { open };
        let left = ledger.free(&open, kind).minus(takes(&mems.intersection(&open)));
        (left < requested).then(|| too_little(kind, left, requested, &open))
    }

    /// Why no set does.
    fn cause(&self, all: &NumaSet, sizes: &RangeInclusive<usize>, only: Option<&NumaSet>) -> Refusal {
        let candidates = only.unwrap_or(all);
        let on_each: Vec<NumaSet> = candidates.iter().map(NumaSet::of).collect();
        let barred = |set: &NumaSet| self.barred(&self.ledger.rules.near(set));
        let open: Vec<&NumaSet> = on_each.iter().filter(|set| barred(set).is_none()).collect();
        let most = *sizes.end();
        let how_many = if most == 1 { "one NUMA node".to_owned() } else { format!("at most {most} NUMA nodes") };
        if open.is_empty() || only.is_some_and(|only| barred(only).is_some()) {
            let first = only.and_then(barred).or_else(|| on_each.iter().find_map(barred));
            return first.unwrap_or_else(|| Refusal::by(Rule::Memory, format!("asks for {how_many}, there is none with memory")));
        }
        for Want { kind, asked, .. } in self.wants.iter().copied() {
            let mut free: Vec<(Bytes, &NumaSet)> =
                open.iter().map(|set| (self.ledger.free(&self.ledger.rules.near(set), kind), *set)).collect();
            free.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
            let add = |(sum, nodes): (Bytes, NumaSet), (free, set): &(Bytes, &NumaSet)| (sum.plus(*free), nodes.union(set));
            let (sum, nodes) = free.iter().take(most).fold((Bytes::ZERO, NumaSet::new()), add);
            if sum < asked {
                return Refusal::by(
                    rule(kind),
                    format!("asks for {asked} {} on {how_many}; the most free is {sum} on {nodes}", name(kind)),
                );
            }
        }
        let too_little = |set: &&NumaSet| {
            let mems = self.ledger.rules.near(set);
            self.wants.iter().find_map(|want| self.leaves_too_little(&mems, *want))
        };
        if let Some(refusal) = open.iter().find_map(too_little) {
            return refusal;
        }
        let lendable = open.iter().map(|set| self.lendable(&self.ledger.rules.near(set))).max().unwrap_or_default();
        let cause = format!("asks for {} of reclaimed memory on {how_many}; the most that is not promised is {lendable}", self.lent);
        Refusal::by(Rule::Memory, cause)
    }
}

fn too_little(kind: Kind, left: Bytes, requested: Bytes, nodes: &NumaSet) -> Refusal {
    let cause = format!("would leave {left} {} on NUMA nodes {nodes} to pods without numa_binding, which request {requested}", name(kind));
    Refusal::by(rule(kind), cause)
}

const fn rule(kind: Kind) -> Rule {
    match kind {
        Kind::Memory => Rule::Memory,
        Kind::Pages(_) => Rule::Hugepages,
    }
}

fn name(kind: Kind) -> String {
    match kind {
        Kind::Memory => "of memory".to_owned(),
        Kind::Pages(size) => format!("in huge pages of {size}"),
    }
}
