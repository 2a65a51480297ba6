//! A pod that runs and now asks for something that cannot be had: another class, another binding, a demand that makes no sense. It keeps
//! what it has, as if it had not asked.

use crate::demand::{BoundDemand, DedicatedDemand, Demands};
use gleaner_model::{Assignment, MilliCpu, NumaBinding, NumaPlacement, Pod, PoolName};

/// What a pool is for, told by its name.
enum Kind {
    Dedicated,
    Bound(PoolName),
    Reclaim,
    System,
    Share,
}

fn kind(pool: &PoolName) -> Kind {
    if pool.is_dedicated() {
        return Kind::Dedicated;
    }
    match pool.node_bound() {
        Some((base, _)) => Kind::Bound(base),
        None if *pool == PoolName::reclaim() => Kind::Reclaim,
        None if pool.as_str() == "system" || pool.as_str().starts_with("system-") => Kind::System,
        None => Kind::Share,
    }
}

/// Replaces the demand of a pod by what it has now. False when it has nothing, or asks for nothing else than that.
pub(super) fn hold(demands: &mut Demands, current: &Assignment, pod: &Pod) -> bool {
    let uid = &pod.uid;
    let Some((pool, has)) = current.pool_of(uid) else { return false };
    let same = match kind(pool) {
        Kind::Dedicated => demands.dedicated.contains_key(uid),
        Kind::Bound(base) => demands.bound.get(uid).is_some_and(|demand| *demand.own.as_ref().unwrap_or(&demand.pool) == base),
        // A bound reclaimed pod is there when its node has no reclaim CPU.
        Kind::Reclaim => demands.members.get(uid) == Some(pool) || demands.bound.get(uid).is_some_and(BoundDemand::reclaimed),
        Kind::System | Kind::Share => demands.members.get(uid) == Some(pool),
    };
    if same || has.cpus.is_empty() {
        return false;
    }
    forget(demands, pod);
    match kind(pool) {
        Kind::Dedicated => {
            demands.dedicated.insert(uid.clone(), own(pod, has.cpus.count()));
        }
        Kind::Bound(base) => {
            let request = if base == PoolName::reclaim() { pod.reclaimed_cpu() } else { pod.cpu_request() };
            let own = Some(base.clone()).filter(PoolName::is_isolation);
            let pool = if own.is_some() { home(pod) } else { base };
            let demand = BoundDemand { pool, own, request, placement: NumaPlacement::Any, numa_share: true, name: pod.name.clone() };
            demands.bound.insert(uid.clone(), demand);
        }
        kind => {
            join(demands, &kind, pool, pod);
            demands.members.insert(uid.clone(), pool.clone());
        }
    }
    true
}

fn join(demands: &mut Demands, kind: &Kind, pool: &PoolName, pod: &Pod) {
    match kind {
        Kind::Reclaim => demands.reclaim_pods += 1,
        Kind::System => {
            let prefix = pool.as_str().strip_prefix("system-").and_then(|prefix| prefix.parse().ok());
            demands.system.insert(pool.clone(), prefix);
        }
        Kind::Share | Kind::Dedicated | Kind::Bound(_) => {
            if pool.is_isolation() {
                demands.isolated.insert(pool.clone(), home(pod));
            }
            let request = pod.cpu_request();
            demands.share_request = demands.share_request.plus(request);
            let size = demands.size_of(pool, request);
            demands.share.entry(pool.clone()).or_insert(size);
        }
    }
}

/// The pool that a pod which is isolated would be in.
fn home(pod: &Pod) -> PoolName {
    pod.qos.cpu.pool.clone().filter(|name| !name.is_built_in()).unwrap_or_else(PoolName::share)
}

/// Takes back what the pod asks for.
fn forget(demands: &mut Demands, pod: &Pod) {
    let uid = &pod.uid;
    demands.refused.remove(uid);
    demands.dedicated.remove(uid);
    demands.bound.remove(uid);
    let Some(pool) = demands.members.remove(uid) else { return };
    if pool == PoolName::reclaim() {
        demands.reclaim_pods = demands.reclaim_pods.saturating_sub(1);
    } else if demands.share.contains_key(&pool) {
        demands.share_request = demands.share_request.minus(pod.cpu_request());
    }
    if !demands.members.values().any(|other| *other == pool) {
        demands.share.remove(&pool);
        demands.system.remove(&pool);
    }
}

/// CPUs of its own, as many as it has, wherever they are. The memory of a pod that is held stays as it is.
fn own(pod: &Pod, cpus: u32) -> DedicatedDemand {
    DedicatedDemand {
        cpus,
        request: MilliCpu::from_cpus(cpus),
        binding: NumaBinding::Unbound,
        placement: NumaPlacement::Any,
        whole_cores: false,
        numa_share: true,
        align_by_socket: false,
        distribute_evenly: false,
        name: pod.name.clone(),
    }
}
