//! Memory as a resource: a container may have memory of its pod's nodes, and each node's promises never exceed what it has.

use super::{chosen, follows_main, node};
use crate::ledger::{Claim, Ledger};
use crate::memory::{MemoryAsked, memory_by_node, memory_hints, mems};
use crate::plugin::{Allocatable, Allocation, Amount, ContainerAllocation, Context, Decisions, OciProperty, Parsed, ResourcePlugin};
use crate::{Hints, Refusal, Rule};
use gleaner_model::{Bytes, ContainerName, NumaId, PodUid, QosClass};
use std::collections::BTreeMap;

/// The resource's name.
const MEMORY: &str = "memory";
/// The name under which the limit of a reclaimed container goes along.
const LIMIT: &str = "memory_limit_in_bytes";

/// Memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryPlugin;

impl ResourcePlugin for MemoryPlugin {
    fn resource(&self) -> &str {
        MEMORY
    }

    fn names(&self) -> Vec<&str> {
        vec![MEMORY, "resource.katalyst.kubewharf.io/reclaimed_memory"]
    }

    fn socket(&self) -> &str {
        "qrm_memory_plugin_dynamic.sock"
    }

    fn hints(&self, context: &Context<'_>, ledger: &Ledger, asked: &Parsed<'_>) -> Result<Hints, Refusal> {
        if follows_main(asked) {
            return Ok(Hints::NoPreference);
        }
        let memory = asked.request.whole_pod.unwrap_or(asked.request.amount).bytes();
        let none = BTreeMap::new();
        let asked = MemoryAsked { pod: &asked.request.pod.uid, qos: asked.qos, memory, hugepages: &none };
        memory_hints(&node(context, ledger), &asked, context.memory)
    }

    fn allocate(&self, context: &Context<'_>, ledger: &mut Ledger, asked: &Parsed<'_>) -> Result<Decisions, Refusal> {
        if !follows_main(asked) {
            let pod = &asked.request.pod.uid;
            match (chosen(asked), ledger.assignment().nodes.get(pod).cloned()) {
                (Some(chosen), Some(bound)) if *chosen != bound => {
                    let cause = format!("nodes {chosen} were chosen for its memory, but it is bound to nodes {bound}");
                    return Err(Refusal::by(Rule::Hint, cause));
                }
                (Some(chosen), None) => ledger.bind(pod, chosen.clone()),
                _ => {}
            }
            // Whether it fits is asked once more: others may have come since the hints were given.
            self.hints(context, ledger, asked)?;
        }
        ledger.claim(MEMORY, asked, Claim::of(asked.request));
        Ok(Decisions::new())
    }

    fn allocation(&self, context: &Context<'_>, ledger: &Ledger, pod: &PodUid, container: &ContainerName) -> ContainerAllocation {
        let (Some(claim), Some(seen)) = (ledger.claimed(pod, container, MEMORY), ledger.pods().get(pod)) else {
            return ContainerAllocation::new();
        };
        let nodes = mems(&node(context, ledger), seen);
        let of = |oci_property, result: String, by_node| Allocation {
            oci_property: Some(oci_property),
            quantity: claim.amount,
            result,
            hint: claim.hint.clone(),
            by_node,
            envs: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        // Where the memory of a pod that is bound to several nodes is, only the kernel knows.
        let only = (nodes.len() == 1).then(|| nodes.first()).flatten();
        let by_node = only.map(|node| (node, claim.amount)).into_iter().collect();
        let mut given = BTreeMap::from([(MEMORY.to_owned(), of(OciProperty::CpusetMems, nodes.to_string(), by_node))]);
        if seen.class() == QosClass::Reclaimed && claim.reclaimed && claim.amount > Amount::ZERO {
            let limit = claim.amount.bytes().get().to_string();
            given.insert(LIMIT.to_owned(), of(OciProperty::MemoryLimitInBytes, limit, BTreeMap::new()));
        }
        given
    }

    fn allocatable(&self, context: &Context<'_>, ledger: &Ledger) -> Allocatable {
        let accounts = memory_by_node(&node(context, ledger), context.memory);
        let by_node = |of: &dyn Fn(&crate::memory::Account) -> Bytes| -> BTreeMap<NumaId, Amount> {
            accounts.iter().map(|(id, node)| (*id, of(&node.memory).into())).collect()
        };
        Allocatable {
            capacity: by_node(&|account| account.capacity),
            allocatable: by_node(&|account| account.capacity.minus(account.reserved)),
        }
    }
}
