//! Which NUMA nodes a bound pod goes to, where no kubelet chooses: the hints of CPU, memory and whatever else it asks for, merged.

use crate::demand::requested;
use crate::hints::{Asked, cpu_hints};
use crate::memory::{MemoryAsked, MemoryPolicy, memory_hints};
use crate::merge::{MergeOptions, Provider, TopologyPolicy, TopologyScope, merge};
use crate::{Hint, Hints, Node, Refusal, Rule};
use gleaner_model::{Bytes, MilliCpu, NumaBinding, NumaId, NumaSet, Pod, QosClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How NUMA nodes are chosen where no kubelet does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TopologyChoice {
    /// What is done with the merged hints. `none` is as `best-effort` for pods with `numa_binding`, which need one answer for all their
    /// resources, and no choice for all others.
    pub policy: TopologyPolicy,
    /// Whether the memory of the pod's containers is looked at together or that of the largest alone. CPU always is that of all, since they
    /// share one pool, and all go to the same nodes either way.
    pub scope: TopologyScope,
    /// Among equals, the nearer nodes before the lower numbers.
    pub prefer_closest_numa: bool,
}

impl Default for TopologyChoice {
    fn default() -> Self {
        Self { policy: TopologyPolicy::None, scope: TopologyScope::Pod, prefer_closest_numa: false }
    }
}

/// What else than CPU and memory a pod asks for, and where that could come from.
pub type OtherHints = BTreeMap<String, Hints>;

/// The NUMA nodes for a pod that is about to be admitted. `None`: the policy leaves the choice to the placement, or any node will do.
///
/// # Errors
/// With the rule: a resource fits nowhere, or the policy admits no combination of what is offered.
pub fn choose_nodes(
    node: &Node<'_>,
    pod: &Pod,
    choice: &TopologyChoice,
    memory: &MemoryPolicy,
    headroom: Option<&BTreeMap<NumaId, MilliCpu>>,
    others: &OtherHints,
) -> Result<Option<NumaSet>, Refusal> {
    let bound = pod.qos.memory.numa_binding != NumaBinding::Unbound;
    let mut offers: BTreeMap<String, Hints> = others.clone();
    let (cpu, bytes) = amounts(pod, choice.scope);
    let cpus = cpu_hints(node, &Asked { pod: &pod.uid, qos: &pod.qos, cpu }, headroom)?;
    offers.insert("cpu".to_owned(), cpus.clone());
    let hugepages = pod.hugepages();
    let asked = MemoryAsked { pod: &pod.uid, qos: &pod.qos, memory: bytes, hugepages: &hugepages };
    offers.insert("memory".to_owned(), memory_hints(node, &asked, memory)?);
    let list = |hints| match hints {
        Hints::NoPreference => None,
        Hints::List(list) => Some(list),
    };
    let providers: Vec<Provider> = offers.into_iter().map(|(name, hints)| Provider(BTreeMap::from([(name, list(hints))]))).collect();
    let options = MergeOptions { prefer_closest_numa: choice.prefer_closest_numa, ..MergeOptions::default() };
    let nodes: NumaSet = node.topology.nodes().map(|(id, _)| id).collect();
    // A bound pod needs one answer for all its resources, whatever the policy says of others.
    let policy = if bound && choice.policy == TopologyPolicy::None { TopologyPolicy::BestEffort } else { choice.policy };
    let merged = merge(policy, &options, &nodes, &|a, b| node.topology.distance(a, b), &providers);
    if let Some(refusal) = merged.refusal(policy, &providers) {
        return Err(refusal);
    }
    let agreed = merged.hints.into_values().find_map(|hint| hint.nodes).filter(|_| bound);
    let (true, Hints::List(offered)) = (bound, &cpus) else { return Ok(agreed) };
    offered_for(offered, agreed.as_ref(), policy).map(Some)
}

/// The nodes that CPU was offered on which are nearest to those that all agree on: these, else nodes among which they are. Where resources
/// contradict each other, `best-effort` has the nodes of the CPUs that most of these are among.
fn offered_for(offered: &[Hint], agreed: Option<&NumaSet>, policy: TopologyPolicy) -> Result<NumaSet, Refusal> {
    let sets = || offered.iter().filter_map(|hint| Some((hint.nodes.as_ref()?, hint.preferred)));
    let missing = |set: &NumaSet| agreed.map_or(0, |agreed| agreed.difference(set).len());
    let best = sets().enumerate().min_by_key(|(at, (set, preferred))| (agreed != Some(*set), missing(set), !preferred, *at));
    let whole = policy == TopologyPolicy::BestEffort || best.is_some_and(|(_, (set, _))| missing(set) == 0);
    best.filter(|_| whole).map(|(_, (set, _))| set.clone()).ok_or_else(|| {
        let words: Vec<String> = offered.iter().map(Hint::to_string).collect();
        let agreed = agreed.map_or_else(|| "any".to_owned(), ToString::to_string);
        Refusal::by(Rule::TopologyPolicy, format!("nodes {agreed} were agreed on, but CPUs are offered on {}", words.join("; ")))
    })
}

/// What the hints are about: CPU of all containers together, and memory of all or of the largest one.
fn amounts(pod: &Pod, scope: TopologyScope) -> (MilliCpu, Bytes) {
    let lent = pod.class() == QosClass::Reclaimed;
    let memory = match scope {
        TopologyScope::Pod if lent => pod.reclaimed_memory(),
        TopologyScope::Pod => pod.memory_request(),
        TopologyScope::Container => {
            let each = pod.containers.iter().filter_map(|c| if lent { c.reclaimed_memory } else { c.memory.request });
            each.max().unwrap_or_default()
        }
    };
    (requested(pod), memory)
}

#[cfg(test)]
mod tests;
