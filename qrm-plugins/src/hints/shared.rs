//! Hints of shared pods.

use super::kept;
use super::room::Room;
use crate::demand::BoundDemand;
use crate::place::{BoundRehearsal, Company, closed};
use crate::{Hint, HintPreference, Hints, Refusal, Rule};
use gleaner_model::{MilliCpu, NumaId, NumaPlacement, NumaSet};

/// A shared pod without `numa_binding` has no preference, if the nodes that are for its like can bear what they request together.
pub(super) fn anywhere(room: &Room<'_>) -> Result<Hints, Refusal> {
    let (asked, others) = (room.asked.cpu, room.context.demands.share_request);
    let has_bound = |id: &NumaId| room.bound_on(*id, false).next().is_some();
    let have = room.nodes().filter(|id| !has_bound(id)).map(|id| room.for_pools_on(id)).fold(0, u32::saturating_add);
    if asked.plus(others) <= MilliCpu::from_cpus(have) {
        return Ok(Hints::NoPreference);
    }
    let (online, open) = (room.context.layout.online.count(), room.context.usable.count());
    let free = room.nodes().map(|id| room.free_on(id).count()).fold(0, u32::saturating_add);
    let bound: NumaSet = room.nodes().filter(has_bound).collect();
    let bound = if bound.is_empty() { String::new() } else { format!(", bound shared pods have nodes {bound}") };
    let cause = format!(
        "shared pods without numa_binding would request {} CPUs with the {asked} of this one, {have} are for them: of {online} CPUs {} are \
         reserved, {} dedicated{bound}",
        others.plus(asked),
        online.saturating_sub(open),
        open.saturating_sub(free),
    );
    Err(Refusal::by(Rule::Capacity, cause))
}

/// A node that can take the pod.
struct Candidate {
    id: NumaId,
    /// What would be left after the request.
    left: MilliCpu,
    /// CPUs for pods.
    whole: MilliCpu,
}

/// Hints of a shared pod with `numa_binding`: one node each.
pub(super) fn hints<'a>(room: &Room<'a>, demand: &'a BoundDemand) -> Result<Hints, Refusal> {
    let own = room.own_nodes();
    let (company, rehearsal) = (Company::bound(demand), BoundRehearsal::new(room.context, room.others));
    let mut candidates = Vec::new();
    let mut refusals = Vec::new();
    for id in allowed(room)? {
        let stays = own.as_ref().is_some_and(|own| own.contains(id));
        let left = room.closed(id, &company, closed).map_or_else(|| rehearsal.shared(demand, id, stays), Err);
        match left {
            Ok(left) => candidates.push(Candidate { id, left, whole: MilliCpu::from_cpus(room.for_pods_on(id).count()) }),
            Err(refusal) => refusals.push((id, refusal)),
        }
    }
    if candidates.is_empty() {
        return Err(nowhere(room, &refusals));
    }
    let hints = by_preference(candidates, room.node.policy.hint_preference);
    Ok(Hints::List(kept::first(own.as_ref(), hints)))
}

fn by_preference(mut candidates: Vec<Candidate>, preference: HintPreference) -> Vec<Hint> {
    let most = |of: &[Candidate]| of.iter().map(|c| c.left).max();
    let least = |of: &[Candidate]| of.iter().map(|c| c.left).min();
    let mut others = Vec::new();
    let best = match preference {
        HintPreference::Spreading => most(&candidates),
        HintPreference::Packing => least(&candidates),
        HintPreference::DynamicPacking { low_threshold } => {
            let enough = |c: &Candidate| c.left >= c.whole.share(low_threshold);
            if candidates.iter().any(enough) {
                (candidates, others) = candidates.into_iter().partition(enough);
                least(&candidates)
            } else {
                most(&candidates)
            }
        }
    };
    let first = candidates.into_iter().map(|c| (c.id, Some(c.left) == best));
    let all = first.chain(others.into_iter().map(|c| (c.id, false)));
    all.map(|(id, preferred)| Hint::on(NumaSet::of(id), preferred)).collect()
}

/// The nodes that a pod which lives in a pool may be on.
pub(super) fn allowed(room: &Room<'_>) -> Result<Vec<NumaId>, Refusal> {
    let all: NumaSet = room.nodes().collect();
    match &room.asked.qos.cpu.placement {
        NumaPlacement::Ids(ids) if !ids.is_subset(&all) => {
            Err(Refusal::by(Rule::NumaIds, format!("asks for NUMA nodes {ids}, those with CPUs are {all}")))
        }
        NumaPlacement::Ids(ids) => Ok(ids.iter().collect()),
        NumaPlacement::Any | NumaPlacement::Number(_) => Ok(all.iter().collect()),
    }
}

/// Why no node does: the rule that is nearest to letting the pod in, and what each node has.
pub(super) fn nowhere(room: &Room<'_>, refusals: &[(NumaId, Refusal)]) -> Refusal {
    let order = [Rule::Floor, Rule::NumaShare, Rule::NumaExclusive];
    let rule = order.into_iter().find(|rule| refusals.iter().any(|(_, refusal)| refusal.rule == *rule)).unwrap_or(Rule::NumaBinding);
    let each: Vec<String> = refusals.iter().map(|(id, refusal)| format!("node {id}: {}", refusal.cause)).collect();
    Refusal::by(rule, format!("needs one NUMA node with {} CPUs; {}", room.asked.cpu, each.join("; ")))
}
