//! Who holds how much of each NUMA node.

use super::mems::MemRules;
use super::policy::MemoryPolicy;
use super::spread::{even, in_proportion};
use crate::Node;
use gleaner_model::{Bytes, NumaBinding, NumaId, NumaSet, PageSize, Pod, PodUid, QosClass};
use std::collections::BTreeMap;

/// Memory, or huge pages of one size, of one NUMA node. The parts are never more than the capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// All of it.
    pub capacity: Bytes,
    /// Kept for the system.
    pub reserved: Bytes,
    /// Requested by pods that are bound to the node.
    pub bound: Bytes,
    /// The rest of the node, where a pod has it exclusively.
    pub exclusive: Bytes,
    /// Requested by bound pods beyond what there is.
    pub excess: Bytes,
}

impl Account {
    /// What no bound pod has. Pods without `numa_binding` share it.
    #[must_use]
    pub const fn free(&self) -> Bytes {
        self.capacity.minus(self.reserved).minus(self.bound).minus(self.exclusive)
    }
}

/// One NUMA node's memory by what pods request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// Memory without huge pages.
    pub memory: Account,
    /// Huge pages by size; a size that the node does not offer is not here.
    pub hugepages: BTreeMap<PageSize, Account>,
    /// Promised to reclaimed pods that are bound to the node. It is lent: others requested it and do not use it. So it is no part of the accounts.
    pub lent: Bytes,
    /// Whether shared pods without `numa_binding` may use the node.
    pub open: bool,
}

/// The memory of every NUMA node and who holds it. A pod on several nodes is spread over them as evenly as they allow, pods with fewer nodes
/// first. A pod with `numa_binding` whose nodes are not chosen yet is not bound to any.
#[must_use]
pub fn memory_by_node(node: &Node<'_>, policy: &MemoryPolicy) -> BTreeMap<NumaId, NodeMemory> {
    Ledger::new(node, policy, None).nodes
}

/// An amount of memory and of huge pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) memory: Bytes,
    pub(super) hugepages: BTreeMap<PageSize, Bytes>,
}

impl Amounts {
    /// What a pod requests of the node's own memory. That of a reclaimed pod is lent.
    pub(super) fn of(pod: &Pod) -> Self {
        let memory = if pod.class() == QosClass::Reclaimed { Bytes::ZERO } else { pod.memory_request() };
        Self { memory, hugepages: pod.hugepages() }
    }

    fn add(&mut self, other: &Self) {
        self.memory = self.memory.plus(other.memory);
        for (size, amount) in &other.hugepages {
            let sum = self.hugepages.entry(*size).or_default();
            *sum = sum.plus(*amount);
        }
    }

    /// The amount of what a question is about.
    pub(super) fn get(&self, kind: Kind) -> Bytes {
        match kind {
            Kind::Memory => self.memory,
            Kind::Pages(size) => self.hugepages.get(&size).copied().unwrap_or_default(),
        }
    }

    /// What is asked for at all.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let pages = self.hugepages.iter().filter(|(_, amount)| !amount.is_zero()).map(|(size, _)| Kind::Pages(*size));
        (!self.memory.is_zero()).then_some(Kind::Memory).into_iter().chain(pages)
    }
}

/// Memory, or huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    Pages(PageSize),
}

impl NodeMemory {
    /// The account; `None` where the node does not offer the size.
    pub(super) fn account(&self, kind: Kind) -> Option<&Account> {
        match kind {
            Kind::Memory => Some(&self.memory),
            Kind::Pages(size) => self.hugepages.get(&size),
        }
    }

    fn account_mut(&mut self, kind: Kind) -> Option<&mut Account> {
        match kind {
            Kind::Memory => Some(&mut self.memory),
            Kind::Pages(size) => self.hugepages.get_mut(&size),
        }
    }
}

/// All nodes, and what pods without `numa_binding` request of all of them together.
pub(super) struct Ledger<'a> {
    pub(super) rules: MemRules<'a>,
    pub(super) nodes: BTreeMap<NumaId, NodeMemory>,
    /// Requested by unbound shared pods, which may use only open nodes.
    pub(super) shared: Amounts,
    /// Requested by all unbound pods.
    pub(super) unbound: Amounts,
    /// How many bound pods each node has.
    pub(super) tenants: BTreeMap<NumaId, u32>,
}

impl<'a> Ledger<'a> {
    /// The ledger of all pods but one.
    pub(super) fn new(node: &Node<'a>, policy: &MemoryPolicy, without: Option<&PodUid>) -> Self {
        let rules = MemRules::new(node.topology, node.pods, node.assignment);
        let nodes = empty(node, policy, &rules.open(QosClass::Shared));
        let mut ledger = Self { rules, nodes, shared: Amounts::default(), unbound: Amounts::default(), tenants: BTreeMap::new() };
        let mut bound: Vec<(NumaSet, &PodUid, &Pod)> = Vec::new();
        for (uid, pod) in node.pods.iter().filter(|(uid, _)| Some(*uid) != without) {
            if let Some(nodes) = ledger.rules.bound(uid) {
                bound.push((nodes.clone(), uid, pod));
                continue;
            }
            let amounts = Amounts::of(pod);
            if pod.class() == QosClass::Shared {
                ledger.shared.add(&amounts);
            }
            ledger.unbound.add(&amounts);
        }
        bound.sort_by_key(|(nodes, uid, _)| (nodes.len(), *uid));
        for (nodes, _, pod) in &bound {
            ledger.bind(nodes, pod);
        }
        for (nodes, _, _) in bound.iter().filter(|(_, _, pod)| pod.qos.memory.numa_binding == NumaBinding::Exclusive) {
            ledger.close(nodes);
        }
        ledger
    }

    /// Puts what a pod requests on its nodes.
    fn bind(&mut self, nodes: &NumaSet, pod: &Pod) {
        let amounts = Amounts::of(pod);
        for kind in amounts.kinds().collect::<Vec<_>>() {
            let unit = if let Kind::Pages(size) = kind { size.bytes().get() } else { 1 };
            let room = |ledger: &Self, id| ledger.nodes.get(&id).and_then(|n| n.account(kind)).map_or(0, |a| a.free().get() / unit);
            let rooms: Vec<u64> = nodes.iter().map(|id| room(self, id)).collect();
            let (parts, excess) = even(amounts.get(kind).get().div_ceil(unit), &rooms);
            // What does not fit is noted on the first node; it is nowhere in truth.
            let excesses = std::iter::once(excess).chain(std::iter::repeat(0));
            for ((id, part), excess) in nodes.iter().zip(parts).zip(excesses) {
                if let Some(account) = self.nodes.get_mut(&id).and_then(|n| n.account_mut(kind)) {
                    account.bound = account.bound.plus(Bytes::new(part.saturating_mul(unit)));
                    account.excess = account.excess.plus(Bytes::new(excess.saturating_mul(unit)));
                }
            }
        }
        let (lent, _) = even(pod.reclaimed_memory().get(), &vec![u64::MAX; nodes.len()]);
        for (id, lent) in nodes.iter().zip(lent) {
            *self.tenants.entry(id).or_default() += 1;
            if let Some(node) = self.nodes.get_mut(&id) {
                node.lent = node.lent.plus(Bytes::new(lent));
            }
        }
    }

    /// Gives the rest of nodes to the pod that has them exclusively.
    fn close(&mut self, nodes: &NumaSet) {
        for id in nodes.iter() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            for account in std::iter::once(&mut node.memory).chain(node.hugepages.values_mut()) {
                account.exclusive = account.exclusive.plus(account.free());
            }
        }
    }

    /// What no bound pod has on these nodes.
    pub(super) fn free(&self, nodes: &NumaSet, kind: Kind) -> Bytes {
        nodes.iter().filter_map(|id| self.nodes.get(&id)?.account(kind)).map(Account::free).sum()
    }

    /// All nodes that are accounted for.
    pub(super) fn all(&self) -> NumaSet {
        self.nodes.keys().copied().collect()
    }
}

/// The nodes before any pod has anything.
fn empty(node: &Node<'_>, policy: &MemoryPolicy, open: &NumaSet) -> BTreeMap<NumaId, NodeMemory> {
    let ordinary: Vec<u64> = node.topology.nodes().map(|(_, info)| info.ordinary_memory().get()).collect();
    let reserved = in_proportion(policy.reserve.get(), &ordinary);
    let account = |capacity: Bytes| Account { capacity, ..Account::default() };
    let of = |((id, info), reserved): ((NumaId, &gleaner_model::NumaNode), u64)| {
        let memory = Account { reserved: Bytes::new(reserved), ..account(info.ordinary_memory()) };
        let hugepages = info.hugepages.iter().map(|(size, count)| (*size, account(size.times(*count)))).collect();
        (id, NodeMemory { memory, hugepages, lent: Bytes::ZERO, open: open.contains(id) })
    };
    node.topology.nodes().zip(reserved).map(of).collect()
}
