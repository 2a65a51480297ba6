//! The assignment as the kernel tells it, for when nothing else does.

use crate::demand::{BoundDemand, DedicatedDemand, Wish, wish};
use crate::layout::Layout;
use crate::place::is_reclaim;
use gleaner_model::{
    Assignment, CpuSet, NumaBinding, NumaId, NumaSet, Pod, PodName, PodUid, Pool, PoolName, QosClass, Reason, Subject, Topology,
};
use std::collections::BTreeMap;

/// Rebuilds an assignment from the CPUs that each pod is observed to be allowed, as a start for the solver.
///
/// A dedicated pod keeps what it has if the number is that of its request and no dedicated pod before it (by uid) has any of it. A shared
/// pool has what its pods have together, less what is dedicated; reclaim has what is left of what its pods have. A pod with `numa_binding`
/// is bound to the nodes that its CPUs are on. What cannot be kept is left out with a word why, and the solver places it anew.
#[must_use]
pub fn adopt(
    topology: &Topology,
    pods: &BTreeMap<PodUid, Pod>,
    observed: &BTreeMap<PodUid, CpuSet>,
) -> (Assignment, Vec<(Subject, Reason)>) {
    let mut adopted = Adopted { layout: Layout::new(topology), assignment: Assignment::default(), notes: Vec::new(), taken: CpuSet::new() };
    let mut pools: BTreeMap<PoolName, (CpuSet, Vec<&PodUid>)> = BTreeMap::new();
    for (uid, pod) in pods {
        let (Some(seen), Ok(wish)) = (observed.get(uid), wish(pod)) else { continue };
        match wish {
            Wish::Dedicated(demand) => adopted.dedicated(uid, &pod.name, &demand, seen),
            Wish::Pool(pool) => {
                let (cpus, members) = pools.entry(pool).or_default();
                *cpus = cpus.union(seen);
                members.push(uid);
            }
            Wish::Bound(demand) => {
                if let Some((pool, node)) = adopted.bound(&pod.name, &demand, seen) {
                    adopted.assignment.nodes.insert(uid.clone(), NumaSet::of(node));
                    let (cpus, members) = pools.entry(pool).or_default();
                    *cpus = cpus.union(seen);
                    members.push(uid);
                }
            }
        }
    }
    let (reclaim, shares): (Vec<_>, Vec<_>) = pools.into_iter().partition(|(name, _)| is_reclaim(name));
    for (name, (cpus, members)) in shares.into_iter().chain(reclaim) {
        // Pools of system pods only join others; the solver makes them anew.
        let follows = members.iter().any(|uid| pods.get(*uid).is_some_and(|pod| pod.class() == QosClass::System));
        if !follows {
            adopted.pool(name, &cpus, members);
        }
    }
    (adopted.assignment, adopted.notes)
}

struct Adopted<'a> {
    layout: Layout<'a>,
    assignment: Assignment,
    notes: Vec<(Subject, Reason)>,
    /// CPUs that a pool has already.
    taken: CpuSet,
}

impl Adopted<'_> {
    fn dedicated(&mut self, uid: &PodUid, name: &PodName, demand: &DedicatedDemand, seen: &CpuSet) {
        let cpus = demand.cpus_on(self.layout.threads);
        let problem = if !seen.is_subset(&self.layout.online) {
            Some("some of them are not online".to_owned())
        } else if !seen.is_disjoint(&self.taken) {
            Some(format!("another dedicated pod has CPUs {}", seen.intersection(&self.taken)))
        } else if seen.count() != cpus && !(demand.binding == NumaBinding::Exclusive && seen.count() > cpus) {
            Some(format!("it needs {cpus}"))
        } else {
            None
        };
        let subject = Subject::Pod(name.clone());
        if let Some(problem) = problem {
            let what = format!("found on CPUs {seen}, which are not kept as its own: {problem}");
            self.notes.push((subject, Reason::Lifecycle { what }));
            return;
        }
        let mems = self.layout.mems_for(demand.binding, seen);
        if demand.binding != NumaBinding::Unbound {
            self.assignment.nodes.insert(uid.clone(), self.layout.topology.nodes_of(seen));
        }
        self.put(subject, PoolName::dedicated(uid), Pool { cpus: seen.clone(), mems }, vec![uid]);
    }

    /// The pool of a bound pod and the node that it is on; `None` when it is on several.
    fn bound(&mut self, name: &PodName, demand: &BoundDemand, seen: &CpuSet) -> Option<(PoolName, NumaId)> {
        let nodes = self.layout.topology.nodes_of(seen);
        if let (1, Some(node)) = (nodes.len(), nodes.first()) {
            return Some((demand.pool.on_node(node), node));
        }
        let what = format!("found on CPUs {seen} of NUMA nodes {nodes}, though it is to be bound to one: its node is chosen anew");
        self.notes.push((Subject::Pod(name.clone()), Reason::Lifecycle { what }));
        None
    }

    fn pool(&mut self, name: PoolName, seen: &CpuSet, members: Vec<&PodUid>) {
        let cpus = seen.intersection(&self.layout.online).difference(&self.taken);
        if !cpus.is_empty() {
            let all = || self.layout.memory_nodes.clone();
            let mems = name.node_bound().map_or_else(all, |(_, node)| self.layout.mems_near(&NumaSet::of(node)));
            self.put(Subject::Pool(name.clone()), name, Pool { cpus, mems }, members);
        }
    }

    fn put(&mut self, subject: Subject, name: PoolName, pool: Pool, members: Vec<&PodUid>) {
        self.taken = self.taken.union(&pool.cpus);
        let rule = "kept as found on the node".to_owned();
        self.notes.push((subject, Reason::Placed { cpus: pool.cpus.clone(), mems: pool.mems.clone(), moved: 0, rule }));
        self.assignment.members.extend(members.into_iter().map(|uid| (uid.clone(), name.clone())));
        self.assignment.pools.insert(name, pool);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::fixtures::{by_uid, cpus, machine, pod, uid};
    use crate::{PlacePolicy, demands, place};

    fn seen(pairs: &[(&str, &str)]) -> BTreeMap<PodUid, CpuSet> {
        pairs.iter().map(|(name, set)| (uid(name), cpus(set))).collect()
    }

    #[test]
    fn a_placement_that_the_kernel_holds_is_found_again() {
        let topology = machine(1, 1, 8, 1);
        let pods = by_uid([pod("d", QosClass::Dedicated, 2000), pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 3000)]);
        let wanted = demands(&pods, &BTreeMap::new());
        let before = place(&topology, &Assignment::default(), &pods, &wanted, &PlacePolicy::default());
        let observed = pods.keys().map(|uid| (uid.clone(), before.assignment.pool_of(uid).unwrap().1.cpus.clone())).collect();
        let (adopted, _) = adopt(&topology, &pods, &observed);
        assert_eq!(adopted, before.assignment);
        assert_eq!(place(&topology, &adopted, &pods, &wanted, &PlacePolicy::default()).moved, 0);
    }

    #[test]
    fn bound_pods_are_found_on_their_nodes() {
        let topology = machine(1, 2, 4, 1);
        let bound = |name, class| {
            let mut pod = pod(name, class, 1000);
            pod.qos.memory.numa_binding = NumaBinding::Bound;
            pod
        };
        let mut pods = by_uid([
            bound("d", QosClass::Dedicated),
            bound("r", QosClass::Reclaimed),
            bound("s", QosClass::Shared),
            pod("t", QosClass::Shared, 1000),
            pod("u", QosClass::Reclaimed, 1000),
        ]);
        let wanted = demands(&pods, &BTreeMap::new());
        let before = place(&topology, &Assignment::default(), &pods, &wanted, &PlacePolicy::default());
        let observed = pods.keys().map(|uid| (uid.clone(), before.assignment.pool_of(uid).unwrap().1.cpus.clone())).collect();
        assert_eq!(adopt(&topology, &pods, &observed).0, before.assignment);
        pods.retain(|uid, _| uid.as_str() == "s");
        let (adopted, notes) = adopt(&topology, &pods, &seen(&[("s", "3-4")]));
        assert_eq!((adopted, notes.len()), (Assignment::default(), 1));
        let expected = "found on CPUs 3-4 of NUMA nodes 0-1, though it is to be bound to one: its node is chosen anew";
        assert_eq!(notes[0].1.to_string(), expected);
    }

    #[test]
    fn dedicated_cpus_that_cannot_be_right_are_left_out_with_a_word() {
        let topology = machine(1, 1, 8, 1);
        let pods = by_uid([
            pod("a", QosClass::Dedicated, 2000),
            pod("b", QosClass::Dedicated, 2000),
            pod("c", QosClass::Dedicated, 2000),
            pod("d", QosClass::Dedicated, 2000),
        ]);
        let (adopted, notes) = adopt(&topology, &pods, &seen(&[("a", "0-1"), ("b", "1-2"), ("c", "0-7"), ("d", "7-8")]));
        assert_eq!(adopted.members.keys().map(PodUid::as_str).collect::<Vec<_>>(), ["a"]);
        let left_out: Vec<String> = notes.iter().skip(1).map(|(subject, reason)| format!("{subject}: {reason}")).collect();
        assert_eq!(
            left_out,
            [
                "ns/b: found on CPUs 1-2, which are not kept as its own: another dedicated pod has CPUs 1",
                "ns/c: found on CPUs 0-7, which are not kept as its own: another dedicated pod has CPUs 0-1",
                "ns/d: found on CPUs 7-8, which are not kept as its own: some of them are not online",
            ]
        );
    }

    #[test]
    fn pools_are_what_their_pods_have_less_what_is_taken() {
        let topology = machine(1, 1, 8, 1);
        let pods = by_uid([
            pod("d", QosClass::Dedicated, 2000),
            pod("r", QosClass::Reclaimed, 1000),
            pod("s", QosClass::Shared, 1000),
            pod("t", QosClass::Shared, 1000),
        ]);
        let (adopted, _) = adopt(&topology, &pods, &seen(&[("d", "0-1"), ("r", "4-7"), ("s", "0-3"), ("t", "3-4")]));
        assert_eq!(adopted.pools[&PoolName::share()].cpus, cpus("2-4"));
        assert_eq!(adopted.pools[&PoolName::reclaim()].cpus, cpus("5-7"));
    }
}
