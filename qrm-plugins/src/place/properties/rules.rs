//! The rules that every placement keeps.

use crate::demand::{DedicatedDemand, Demands};
use crate::layout::Layout;
use crate::place::{Placement, is_reclaim, reserved};
use crate::{PlacePolicy, ReclaimMode};
use gleaner_model::{CpuSet, NumaBinding, NumaPlacement, NumaSet, PodUid, Pool, PoolName, Topology};

/// One placement with what it was made of.
pub(super) struct Case<'a> {
    pub(super) topology: &'a Topology,
    pub(super) demands: &'a Demands,
    pub(super) policy: &'a PlacePolicy,
    pub(super) placed: &'a Placement,
}

type Checked = Result<(), String>;

fn ensure(ok: bool, what: impl FnOnce() -> String) -> Checked {
    if ok { Ok(()) } else { Err(what()) }
}

impl Case<'_> {
    /// The first rule that is broken.
    pub(super) fn check(&self) -> Checked {
        for (name, pool) in &self.placed.assignment.pools {
            self.kept(name, pool)?;
            self.disjoint(name, pool)?;
            self.on_its_node(name, pool)?;
        }
        self.everyone()?;
        self.refusals()?;
        self.never_empty()?;
        for (uid, demand) in &self.demands.dedicated {
            match self.placed.assignment.pool_of(uid) {
                Some((name, pool)) if name.is_dedicated() && !self.placed.unresized.contains_key(uid) => {
                    self.dedicated(uid, demand, pool)?
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn cpus(&self, of: impl Fn(&PoolName) -> bool) -> CpuSet {
        let pools = self.placed.assignment.pools.iter().filter(|(name, _)| of(name));
        pools.fold(CpuSet::new(), |all, (_, pool)| all.union(&pool.cpus))
    }

    fn is_system(name: &PoolName) -> bool {
        name.as_str() == "system" || name.as_str().starts_with("system-")
    }

    fn is_share(name: &PoolName) -> bool {
        let kept = [PoolName::reserve(), PoolName::interrupt()].contains(name);
        !kept && !name.is_dedicated() && !is_reclaim(name) && !Self::is_system(name)
    }

    /// Reserve and interrupts are nobody else's.
    fn kept(&self, name: &PoolName, pool: &Pool) -> Checked {
        let (reserve, interrupt) = (reserved(self.topology, self.policy), self.policy.interrupt.intersection(&self.topology.cpus()));
        let (has_reserve, has_interrupt) = (*name == PoolName::reserve(), *name == PoolName::interrupt());
        ensure(!pool.cpus.is_empty() && pool.cpus.is_subset(&self.topology.cpus()), || format!("{name} on {}", pool.cpus))?;
        ensure(!pool.mems.is_empty() && pool.mems.is_subset(&self.topology.memory_nodes()), || format!("{name} memory {}", pool.mems))?;
        ensure(!has_reserve || pool.cpus == reserve, || format!("reserve is not {reserve}"))?;
        ensure(!has_interrupt || pool.cpus == interrupt, || format!("interrupt is not {interrupt}"))?;
        ensure(has_interrupt || pool.cpus.is_disjoint(&interrupt), || format!("{name} is on CPUs of interrupts"))?;
        ensure(Self::is_system(name) || has_reserve || pool.cpus.is_disjoint(&reserve), || format!("{name} is in the reserve"))
    }

    fn disjoint(&self, name: &PoolName, pool: &Pool) -> Checked {
        for (other, theirs) in self.placed.assignment.pools.iter().filter(|(other, _)| *other != name) {
            let lent = is_reclaim(other) && self.policy.overlap_dedicated;
            ensure(!name.is_dedicated() || lent || pool.cpus.is_disjoint(&theirs.cpus), || format!("{name} and {other} share CPUs"))?;
            if Self::is_share(name) && Self::is_share(other) {
                let few = self.open().count()
                    < u32::try_from(self.placed.assignment.pools.keys().filter(|name| Self::is_share(name)).count()).unwrap();
                let few_on_nodes = name.node_bound().is_some() != other.node_bound().is_some() && self.is_tight();
                let same = pool.cpus == theirs.cpus;
                ensure(same || few || few_on_nodes || pool.cpus.is_disjoint(&theirs.cpus), || {
                    format!("{name} and {other} overlap partly")
                })?;
            }
            if Self::is_share(name) && is_reclaim(other) && self.policy.mode == ReclaimMode::Cpuset {
                ensure(pool.cpus.is_disjoint(&theirs.cpus) || self.is_tight(), || format!("{name} and {other} share CPUs"))?;
            }
        }
        Ok(())
    }

    /// CPUs for shared and reclaimed pods.
    fn open(&self) -> CpuSet {
        self.cpus(|name| Self::is_share(name) || is_reclaim(name)).difference(&self.cpus(PoolName::is_dedicated))
    }

    /// Whether shared pools have no CPU to leave: at most one on all nodes without bound ones together, at most one on each node with bound
    /// ones, or one more on one of these when unbound pools have no other.
    fn is_tight(&self) -> bool {
        let layout = Layout::new(self.topology);
        let bound = |name: &PoolName| name.node_bound().filter(|_| Self::is_share(name)).map(|(_, node)| node);
        let nodes: NumaSet = self.placed.assignment.pools.keys().filter_map(bound).collect();
        let open = self.open();
        let spare = |node| open.intersection(&layout.cpus_of(&NumaSet::of(node))).count().saturating_sub(1);
        let outside = open.difference(&layout.cpus_of(&nodes)).count();
        let unbound = !self.demands.share.is_empty();
        nodes.iter().map(spare).sum::<u32>() <= u32::from(unbound && outside == 0) && outside <= 1
    }

    fn on_its_node(&self, name: &PoolName, pool: &Pool) -> Checked {
        let Some((_, node)) = name.node_bound() else { return Ok(()) };
        let layout = Layout::new(self.topology);
        ensure(pool.cpus.is_subset(&layout.cpus_of(&NumaSet::of(node))), || format!("{name} on {}", pool.cpus))?;
        ensure(pool.mems == layout.mems_near(&NumaSet::of(node)), || format!("{name} memory {}", pool.mems))
    }

    /// Everyone is placed or refused, nobody both.
    fn everyone(&self) -> Checked {
        let Demands { dedicated, members, bound, refused, .. } = self.demands;
        let placed = self.placed;
        for uid in dedicated.keys().chain(members.keys()).chain(bound.keys()).chain(refused.keys()) {
            let in_pool = placed.assignment.pool_of(uid).is_some();
            ensure(in_pool != placed.refusals.contains_key(uid), || format!("{uid} is neither placed nor refused, or both"))?;
            ensure(in_pool || !placed.unresized.contains_key(uid), || format!("{uid} keeps what it does not have"))?;
        }
        for (uid, demand) in bound.iter().filter(|(uid, _)| !placed.unresized.contains_key(*uid)) {
            let Some((name, _)) = placed.assignment.pool_of(uid) else { continue };
            let node = placed.assignment.nodes.get(uid).filter(|nodes| nodes.len() == 1).and_then(NumaSet::first);
            let own = node.map(|node| demand.pool_on(node));
            let fallback = demand.reclaimed() && *name == PoolName::reclaim();
            ensure(own.as_ref() == Some(name) || fallback, || format!("{uid} is bound to {node:?}, but in {name}"))?;
        }
        let live = |uid: &PodUid| dedicated.contains_key(uid) || bound.contains_key(uid) || placed.unresized.contains_key(uid);
        let stray = placed.assignment.nodes.keys().find(|uid| !live(uid));
        ensure(stray.is_none(), || format!("nodes of {stray:?}"))
    }

    fn refusals(&self) -> Checked {
        for (uid, refusal) in &self.placed.refusals {
            let told = self.placed.refused.get(uid).map(ToString::to_string);
            let expected = format!("refused: {}: {}", refusal.rule.name(), refusal.cause);
            ensure(told.as_ref() == Some(&expected), || format!("{uid}: {told:?} is not {expected}"))?;
        }
        Ok(())
    }

    /// A pool that somebody is in has CPUs; reclaimed pods have none only where shared pools have none to leave.
    fn never_empty(&self) -> Checked {
        for (uid, name) in &self.placed.assignment.members {
            ensure(self.placed.assignment.pools.contains_key(name), || format!("{uid} is in {name}, which has no CPUs"))?;
        }
        let stranded = self.demands.members.iter().find(|(uid, pool)| is_reclaim(pool) && self.placed.refusals.contains_key(*uid));
        ensure(stranded.is_none() || self.is_tight(), || format!("{stranded:?} though shared pools could leave a CPU"))
    }

    fn dedicated(&self, uid: &PodUid, demand: &DedicatedDemand, pool: &Pool) -> Checked {
        let layout = Layout::new(self.topology);
        let (count, exclusive, cpus) = (pool.cpus.count(), demand.binding == NumaBinding::Exclusive, demand.cpus_on(layout.threads));
        ensure(if exclusive { count >= cpus } else { count == cpus }, || format!("{uid} has {count}, not {cpus}"))?;
        let nodes = self.topology.nodes_of(&pool.cpus);
        match (&demand.placement, demand.binding) {
            (NumaPlacement::Ids(ids), _) => ensure(nodes == *ids, || format!("{uid} on {nodes}, not {ids}"))?,
            (NumaPlacement::Number(n), _) => ensure(u32::try_from(nodes.len()) == Ok(*n), || format!("{uid} on {nodes}, not {n} nodes"))?,
            (NumaPlacement::Any, NumaBinding::Bound) => ensure(nodes.len() == 1, || format!("{uid} is bound, but on {nodes}"))?,
            (NumaPlacement::Any, _) => {}
        }
        if demand.binding != NumaBinding::Unbound {
            let chosen = self.placed.assignment.nodes.get(uid);
            ensure(chosen == Some(&nodes), || format!("{uid} on {nodes}, but {chosen:?} was chosen"))?;
            ensure(pool.mems == layout.mems_near(&nodes), || format!("{uid} on {nodes} with memory {}", pool.mems))?;
        }
        let pools = &self.placed.assignment.pools;
        let others = pools.iter().filter(|(name, _)| exclusive && name.is_dedicated() && **name != PoolName::dedicated(uid));
        for (name, other) in others.filter(|(name, _)| !self.keeps_old(name)) {
            ensure(self.topology.nodes_of(&other.cpus).is_disjoint(&nodes), || format!("{name} is on a node that {uid} has alone"))?;
        }
        let alone = exclusive || !demand.numa_share;
        for (name, other) in pools.iter().filter(|(name, _)| alone && (Self::is_share(name) || is_reclaim(name))) {
            ensure(self.topology.nodes_of(&other.cpus).is_disjoint(&nodes), || format!("{name} is on a node that {uid} does not share"))?;
        }
        Ok(())
    }

    fn keeps_old(&self, pool: &PoolName) -> bool {
        self.placed.unresized.keys().any(|uid| PoolName::dedicated(uid) == *pool)
    }
}
