//! CPU as a resource: the ledger's claims go to [`place`], and a container has the CPUs of its pod's pool.

use super::{chosen, follows_main, node};
use crate::demand::demands;
use crate::hints::{Asked, cpu_hints};
use crate::ledger::{Claim, Ledger};
use crate::place::{Placement, place};
use crate::plugin::{Allocatable, Allocation, Amount, ContainerAllocation, Context, Decisions, OciProperty, Parsed, ResourcePlugin};
use crate::{Hint, Hints, Refusal, Rule};
use gleaner_model::{ContainerName, CpuSet, MilliCpu, NumaBinding, NumaId, NumaSet, PodUid, PoolName, QosClass, QosSpec, Reason, Topology};
use std::collections::BTreeMap;

/// The resource's name.
const CPU: &str = "cpu";

/// CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuPlugin;

impl ResourcePlugin for CpuPlugin {
    fn resource(&self) -> &str {
        CPU
    }

    fn names(&self) -> Vec<&str> {
        vec![CPU, "resource.katalyst.kubewharf.io/reclaimed_millicpu"]
    }

    fn socket(&self) -> &str {
        "qrm_cpu_plugin_dynamic.sock"
    }

    fn hints(&self, context: &Context<'_>, ledger: &Ledger, asked: &Parsed<'_>) -> Result<Hints, Refusal> {
        if follows_main(asked) {
            return Ok(Hints::NoPreference);
        }
        let cpu = asked.request.whole_pod.unwrap_or(asked.request.amount).cpu();
        cpu_hints(&node(context, ledger), &Asked { pod: &asked.request.pod.uid, qos: asked.qos, cpu }, context.headroom)
    }

    fn allocate(&self, context: &Context<'_>, ledger: &mut Ledger, asked: &Parsed<'_>) -> Result<Decisions, Refusal> {
        let pod = &asked.request.pod.uid;
        let known = ledger.claimed(pod, &asked.request.container, CPU).is_some();
        if !follows_main(asked) {
            bind(context, ledger, asked, self)?;
        }
        let grows = ledger.claimed(pod, &asked.request.container, CPU).is_none_or(|claim| claim.amount < asked.request.amount);
        let hinted = asked.request.hint.as_ref().is_some_and(|hint| hint.nodes.is_some());
        if grows && !hinted && asked.qos.class == QosClass::Shared {
            // Who chose nodes asked for hints before. Who did not is told here: shared pods are placed whatever they request.
            self.hints(context, ledger, asked)?;
        }
        ledger.claim(CPU, asked, Claim::of(asked.request));
        if follows_main(asked) && !ledger.has_main(pod, CPU) {
            // Its CPUs come with the main container's.
            return Ok(Decisions::new());
        }
        let mut sizes = context.pool_sizes.clone();
        if let (QosClass::Shared, false) = (asked.qos.class, known) {
            // What was measured knows nothing yet of who comes now.
            let pool = ledger.assignment().members.get(pod).cloned().unwrap_or_else(|| shared_pool(asked.qos, ledger, pod));
            sizes.entry(pool).and_modify(|size| *size = size.saturating_add(asked.request.amount.cpu().ceil_cpus()));
        }
        replace(context, ledger, &sizes, Some(pod))
    }

    fn allocation(&self, context: &Context<'_>, ledger: &Ledger, pod: &PodUid, container: &ContainerName) -> ContainerAllocation {
        let claim = ledger.claimed(pod, container, CPU);
        let (Some(claim), Some((_, pool))) = (claim, ledger.assignment().pool_of(pod)) else { return ContainerAllocation::new() };
        let allocation = Allocation {
            oci_property: Some(OciProperty::CpusetCpus),
            quantity: cpus(&pool.cpus),
            result: pool.cpus.to_string(),
            hint: claim.hint.clone(),
            by_node: by_node(context.topology, &pool.cpus),
            envs: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        BTreeMap::from([(CPU.to_owned(), allocation)])
    }

    fn allocatable(&self, context: &Context<'_>, ledger: &Ledger) -> Allocatable {
        let kept =
            [PoolName::reserve(), PoolName::interrupt()].iter().fold(CpuSet::new(), |all, p| all.union(&ledger.assignment().cpus_of(p)));
        let online = context.topology.cpus();
        Allocatable { capacity: by_node(context.topology, &online), allocatable: by_node(context.topology, &online.difference(&kept)) }
    }
}

/// Takes the NUMA nodes that the caller chose for a bound pod, if the pod can be there.
fn bind(context: &Context<'_>, ledger: &mut Ledger, asked: &Parsed<'_>, plugin: &CpuPlugin) -> Result<(), Refusal> {
    let Some(chosen) = chosen(asked) else { return Ok(()) };
    let pod = &asked.request.pod.uid;
    let one = asked.qos.class != QosClass::Dedicated;
    if one && chosen.len() != 1 {
        return Err(Refusal::by(Rule::Hint, format!("nodes {chosen} were chosen, but it is bound to one")));
    }
    if ledger.assignment().nodes.get(pod).is_some_and(|bound| bound != chosen) {
        // Placing keeps a pod that runs where it is; whether it may move is for the hints to say.
        check_choice(chosen, &plugin.hints(context, ledger, asked)?, one)?;
    }
    ledger.bind(pod, chosen.clone());
    Ok(())
}

/// Other resources may have narrowed a dedicated pod's nodes, and whether its CPUs fit there is seen when they are placed. A pod that shares
/// goes to one of the nodes that were offered.
fn check_choice(chosen: &NumaSet, offered: &Hints, one: bool) -> Result<(), Refusal> {
    let Hints::List(offered) = offered else { return Ok(()) };
    if one && !offered.iter().any(|hint| hint.nodes.as_ref() == Some(chosen)) {
        let words: Vec<String> = offered.iter().map(Hint::to_string).collect();
        return Err(Refusal::by(Rule::Hint, format!("nodes {chosen} were chosen, but offered are {}", words.join("; "))));
    }
    Ok(())
}

/// Places all pods of the ledger anew, moving as little as possible.
///
/// # Errors
/// When `newcomer` cannot be placed, or could only be placed by taking what another pod has.
pub fn replace(
    context: &Context<'_>,
    ledger: &mut Ledger,
    sizes: &BTreeMap<PoolName, u32>,
    newcomer: Option<&PodUid>,
) -> Result<Decisions, Refusal> {
    let placement = solve(context, ledger, sizes);
    if let Some(uid) = newcomer {
        if let Some(refusal) = placement.refusals.get(uid) {
            return Err(refusal.clone());
        }
        if let Some(Reason::Refused { cause }) = placement.unresized.get(uid) {
            return Err(Refusal::by(Rule::Resize, cause.clone()));
        }
        let members = &ledger.assignment().members;
        if let Some((loser, refusal)) = placement.refusals.iter().find(|(uid, _)| members.contains_key(*uid)) {
            let name = ledger.pods().get(loser).map(|pod| pod.name.to_string()).unwrap_or_default();
            return Err(Refusal::by(Rule::Floor, format!("{name}, which runs, would lose its CPUs: {refusal}")));
        }
    }
    ledger.assign(placement.assignment);
    Ok(placement.decisions)
}

fn solve(context: &Context<'_>, ledger: &Ledger, sizes: &BTreeMap<PoolName, u32>) -> Placement {
    let demands = demands(ledger.pods(), sizes);
    place(context.topology, ledger.assignment(), ledger.pods(), &demands, context.place)
}

/// The pool that a shared pod will be in.
fn shared_pool(qos: &QosSpec, ledger: &Ledger, pod: &PodUid) -> PoolName {
    let pool = qos.cpu.pool.clone().unwrap_or_else(PoolName::share);
    let node = ledger.assignment().nodes.get(pod).and_then(NumaSet::first);
    node.filter(|_| qos.memory.numa_binding != NumaBinding::Unbound).map_or(pool.clone(), |node| pool.on_node(node))
}

fn cpus(set: &CpuSet) -> Amount {
    MilliCpu::from_cpus(set.count()).into()
}

fn by_node(topology: &Topology, set: &CpuSet) -> BTreeMap<NumaId, Amount> {
    let parts = topology.nodes().map(|(id, node)| (id, node.cpus.intersection(set)));
    parts.filter(|(_, part)| !part.is_empty()).map(|(id, part)| (id, cpus(&part))).collect()
}
