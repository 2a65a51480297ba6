//! What holds for every machine, every set of pods and every history.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod rules;
mod world;

use super::*;
use crate::Rule;
use crate::demand::demands;
use gleaner_model::{CpuId, NumaBinding, NumaId, NumaPlacement, NumaSet, Pool};
use proptest::prelude::*;
use rules::Case;
use world::{Event, PODS, World, asks, events, machines, policies};

fn shown(assignment: &Assignment) -> String {
    let pools = assignment.pools.iter().map(|(name, pool)| format!("  {name} {} mem {}", pool.cpus, pool.mems));
    let members = assignment.members.iter().map(|(uid, name)| format!("{uid}:{name}"));
    let nodes = assignment.nodes.iter().map(|(uid, nodes)| format!("{uid}@{nodes}"));
    let (members, nodes): (Vec<_>, Vec<_>) = (members.collect(), nodes.collect());
    format!("{}\n  {}\n  {}", pools.collect::<Vec<_>>().join("\n"), members.join(" "), nodes.join(" "))
}

fn told(placed: &Placement) -> String {
    format!("{}\n  refused {:?}\n  unresized {:?}", shown(&placed.assignment), placed.refused, placed.unresized)
}

fn fail(what: &str, event: &Event, before: &Assignment, placed: &Placement) -> TestCaseError {
    TestCaseError::fail(format!("{what}\nafter {event:?}\nfrom\n{}\nto\n{}", shown(before), told(placed)))
}

/// Who is refused by which rule; the numbers in the text may be newer.
fn rules_of(placed: &Placement) -> Vec<(&PodUid, Rule)> {
    placed.refusals.iter().map(|(uid, refusal)| (uid, refusal.rule)).collect()
}

/// A pod whose demand did not change, that was satisfied and still is: it has what it had.
fn unmoved(before: &Placement, after: &Placement, touched: Option<&PodUid>) -> Result<(), String> {
    for (name, pool) in before.assignment.pools.iter().filter(|(name, _)| name.is_dedicated()) {
        let Some(uid) = before.assignment.members.iter().find(|(_, pool)| *pool == name).map(|(uid, _)| uid) else { continue };
        let settled = touched != Some(uid) && !before.unresized.contains_key(uid);
        if let (true, Some((_, now))) = (settled, after.assignment.pool_of(uid))
            && now != pool
        {
            return Err(format!("{uid} moved from {} to {}", pool.cpus, now.cpus));
        }
    }
    Ok(())
}

fn touched(event: &Event) -> Option<PodUid> {
    let at = match event {
        Event::Comes(at, _) | Event::Goes(at) | Event::Resizes(at, _) | Event::Rebinds(at, _) | Event::Changes(at, _) => Some(at),
        Event::Sizes(_) => None,
    };
    at.map(|at| format!("p{at}").parse().unwrap())
}

/// One step of a history and everything that must hold of it.
fn step(
    topology: &Topology,
    policy: &PlacePolicy,
    world: &mut World,
    before: &Placement,
    event: &Event,
    drop_refused: bool,
) -> Result<Placement, TestCaseError> {
    let mut current = before.assignment.clone();
    world.apply(event, &mut current.nodes);
    let solve = |world: &World, current: &Assignment| {
        let pods = world.pods();
        let wanted = demands(&pods, &world.sizes);
        (place(topology, current, &pods, &wanted, policy), wanted)
    };
    let (placed, wanted) = solve(world, &current);
    Case { topology, demands: &wanted, policy, placed: &placed }.check().map_err(|broken| fail(&broken, event, &current, &placed))?;
    let pod = touched(event);
    unmoved(before, &placed, pod.as_ref()).map_err(|broken| fail(&broken, event, &current, &placed))?;
    // A pod that runs goes on running.
    let lost = before.assignment.members.keys().find(|uid| placed.refusals.contains_key(*uid));
    if let Some(lost) = lost {
        return Err(fail(&format!("{lost} lost what it had"), event, &current, &placed));
    }
    // What cannot be had changes nothing for anybody.
    let denied = pod.as_ref().filter(|uid| placed.refusals.contains_key(*uid) && !before.refusals.contains_key(*uid));
    if let Some(uid) = denied {
        let others = |assignment: &Assignment| {
            let mut assignment = assignment.clone();
            assignment.nodes.remove(uid);
            assignment
        };
        if others(&placed.assignment) != others(&before.assignment) {
            return Err(fail("a refused pod changed what others have", event, &current, &placed));
        }
    }
    for uid in placed.unresized.keys() {
        let (had, has) = (current.pool_of(uid), placed.assignment.pool_of(uid));
        let kept = match (had, has) {
            (Some((name, pool)), Some((now, cpus))) if name.is_dedicated() => name == now && pool == cpus,
            // The node of a bound reclaimed pod may lose its last reclaim CPU.
            (Some((name, _)), Some((now, _))) => name == now || (is_reclaim(name) && is_reclaim(now)),
            _ => false,
        };
        if !kept {
            return Err(fail(&format!("{uid} did not keep what it had"), event, &current, &placed));
        }
    }
    // Deterministic, and the same after a restart.
    let stored: Assignment = serde_json::from_str(&serde_json::to_string(&current).unwrap()).unwrap();
    if solve(world, &stored).0 != placed {
        return Err(fail("a restart decides otherwise", event, &current, &placed));
    }
    let (again, _) = solve(world, &placed.assignment);
    let same = again.assignment == placed.assignment
        && rules_of(&again) == rules_of(&placed)
        && again.unresized.keys().eq(placed.unresized.keys());
    let quiet = again.moved == 0 && again.decisions.iter().all(|(_, reason)| matches!(reason, Reason::Refused { .. }));
    if !(same && quiet) {
        return Err(fail(
            &format!("an unchanged input changed\n{}\ndecisions {:?}\n", told(&again), again.decisions),
            event,
            &placed.assignment,
            &placed,
        ));
    }
    if !drop_refused || placed.refusals.is_empty() {
        return Ok(placed);
    }
    placed.refusals.keys().for_each(|uid| world.remove(uid));
    Ok(solve(world, &placed.assignment).0)
}

fn nothing(topology: &Topology, policy: &PlacePolicy) -> Placement {
    place(topology, &Assignment::default(), &BTreeMap::new(), &Demands::default(), policy)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_placement_of_every_history_keeps_the_rules(
        machine in machines(), asked in proptest::collection::vec(asks(), PODS), events in events(), policy in policies(), drop_refused in any::<bool>()
    ) {
        let topology = machine.topology();
        let mut world = World::new(asked);
        let mut placed = nothing(&topology, &policy);
        for event in events {
            placed = step(&topology, &policy, &mut world, &placed, &event, drop_refused)?;
        }
    }

    /// A state that is old, damaged or another machine's is a start like any other.
    #[test]
    fn any_start_leads_to_a_placement_that_keeps_the_rules(
        machine in machines(), asked in proptest::collection::vec(asks(), PODS), policy in policies(), sets in proptest::collection::vec(any::<u32>(), PODS + 6)
    ) {
        let topology = machine.topology();
        let pods: BTreeMap<PodUid, Pod> = asked.iter().enumerate().map(|(at, asks)| asks.pod(at)).map(|pod| (pod.uid.clone(), pod)).collect();
        let wanted = demands(&pods, &BTreeMap::new());
        let shared = ["share", "web", "reclaim", "reserve", "share-NUMA1", "reclaim-NUMA0"].map(|name| name.parse().unwrap());
        let pools = pods.keys().map(PoolName::dedicated).chain(shared).zip(&sets).map(|(name, bits)| {
            let cpus: CpuSet = (0..32).filter(|bit| bits >> bit & 1 == 1).map(CpuId::new).collect();
            (name, Pool { cpus, mems: topology.memory_nodes() })
        });
        let nodes = pods.keys().zip(&sets).filter(|(_, bits)| *bits & 3 == 3);
        let nodes = nodes.map(|(uid, bits)| (uid.clone(), NumaSet::of(NumaId::new(bits >> 2 & 3)))).collect();
        let start = Assignment { pools: pools.collect(), members: BTreeMap::new(), nodes };
        // What a running pod has is kept even where it would not be given today, so only the rules between pools are checked.
        let mut plain = wanted.clone();
        for demand in plain.dedicated.values_mut() {
            demand.placement = NumaPlacement::Any;
            demand.binding = NumaBinding::Unbound;
            demand.whole_cores = false;
            demand.numa_share = true;
        }
        let placed = place(&topology, &start, &pods, &plain, &policy);
        if let Err(broken) = (Case { topology: &topology, demands: &plain, policy: &policy, placed: &placed }).check() {
            return Err(TestCaseError::fail(format!("{broken}\nfrom\n{}\nto\n{}", shown(&start), told(&placed))));
        }
        let placed = place(&topology, &start, &pods, &wanted, &policy);
        let again = place(&topology, &placed.assignment, &pods, &wanted, &policy);
        prop_assert_eq!(shown(&again.assignment), shown(&placed.assignment), "from {}", shown(&start));
    }
}
