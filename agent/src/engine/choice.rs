//! Which NUMA nodes pods go to that are bound to some, where no kubelet chooses.

use super::Engine;
use gleaner_model::{Assignment, NumaBinding, Pod, PodUid, Timestamp};
use gleaner_qrm_plugins::{Node, choose_nodes};
use std::collections::BTreeMap;

/// Candidates whose nodes are chosen, or that need no choice; the assignment with the choices; those that fit nowhere, and why.
pub(super) type Chosen = (Vec<Pod>, Assignment, Vec<(PodUid, String)>);

impl Engine {
    /// Chooses for one candidate after the other, each beside the live pods and the candidates before it; `start` is what they all have now.
    pub(super) fn choose(&self, candidates: Vec<Pod>, live: &BTreeMap<PodUid, Pod>, start: Assignment, now: Timestamp) -> Chosen {
        let mut assignment = start;
        let needs_choice = |pod: &Pod| pod.qos.memory.numa_binding != NumaBinding::Unbound;
        if !candidates.iter().any(needs_choice) {
            return (candidates, assignment, Vec::new());
        }
        let (mut pods, headroom) = (live.clone(), self.headroom());
        let (mut chosen, mut refused) = (Vec::new(), Vec::new());
        for pod in candidates {
            let node = Node { topology: &self.topology, pods: &pods, assignment: &assignment, policy: &self.config.placement };
            let config = &self.config;
            let nodes = match needs_choice(&pod) {
                true => choose_nodes(&node, &pod, &config.topology, &config.memory, headroom.as_ref(), &self.other_hints(&pod.uid, now)),
                false => Ok(None),
            };
            match nodes {
                Ok(nodes) => {
                    assignment.nodes.extend(nodes.map(|nodes| (pod.uid.clone(), nodes)));
                    pods.insert(pod.uid.clone(), pod.clone());
                    chosen.push(pod);
                }
                Err(refusal) => refused.push((pod.uid, refusal.to_string())),
            }
        }
        (chosen, assignment, refused)
    }
}
