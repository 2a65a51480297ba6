//! Merging the topology hints of several resources into one answer for a container, for nodes whose kubelet does not do it.
//!
//! The policies are kubelet's (`none`, `best-effort`, `restricted`, `single-numa-node`) and Katalyst's `numeric`. Their answers are those
//! of trying every combination of one hint for each resource; how that is avoided is said in `agree` and `numeric`.

mod agree;
mod chain;
mod meet;
mod numeric;
mod offer;
mod order;

pub use offer::{Provider, single_node_hints};
pub use order::{Distance, HintOrder, distance_sum};

use crate::hint::Hint;
use crate::refusal::{Refusal, Rule};
use gleaner_model::NumaSet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The name under which a provider without a preference stands, as in Katalyst.
const UNNAMED: &str = "*";

/// How the hints of several resources become one. The names are those of kubelet's `--topology-manager-policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopologyPolicy {
    /// Hints are not looked at.
    #[default]
    None,
    /// The best nodes that all resources have in common; a container runs whether they are preferred or not.
    BestEffort,
    /// As best-effort, but only a preferred result runs.
    Restricted,
    /// Only one node that all resources prefer.
    SingleNumaNode,
    /// Katalyst's: a hint for each resource. Aligned resources have the same nodes, all others nested ones.
    Numeric,
}

impl TopologyPolicy {
    /// Its name as it is configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BestEffort => "best-effort",
            Self::Restricted => "restricted",
            Self::SingleNumaNode => "single-numa-node",
            Self::Numeric => "numeric",
        }
    }

    /// Whether a container with this merged hint may run. `numeric` refuses by finding no hint, so each that it finds will do.
    #[must_use]
    pub const fn admits(self, merged: &Hint) -> bool {
        match self {
            Self::None | Self::BestEffort | Self::Numeric => true,
            Self::Restricted | Self::SingleNumaNode => merged.preferred,
        }
    }

    /// What a refused container did not have.
    const fn needs(self) -> &'static str {
        match self {
            Self::None | Self::BestEffort => "nothing",
            Self::Restricted => "one set of nodes that every resource prefers",
            Self::SingleNumaNode => "one node that every resource prefers",
            Self::Numeric => "the same nodes for aligned resources, preferred by one of them, and nested nodes for the others",
        }
    }
}

impl fmt::Display for TopologyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// For what hints are merged. The names are those of kubelet's `--topology-manager-scope`.
///
/// [`merge`] is the same in both. In scope `pod` the caller asks the providers once, for the sum of what the pod's containers request, and
/// every container has the one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopologyScope {
    /// For each container on its own.
    #[default]
    Container,
    /// Once for all containers of a pod.
    Pod,
}

/// What tunes the policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MergeOptions {
    /// Among sets with as many nodes, the nearer one before the lower ids (kubelet's `prefer-closest-numa-nodes`). For best-effort and
    /// restricted.
    pub prefer_closest_numa: bool,
    /// Resources that `numeric` puts on the same nodes.
    pub align_resources: BTreeSet<String>,
}

impl Default for MergeOptions {
    fn default() -> Self {
        let align = ["cpu", "memory"].map(str::to_owned);
        Self { prefer_closest_numa: false, align_resources: BTreeSet::from(align) }
    }
}

/// What came out of [`merge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The hint of each resource; `"*"` stands for providers that named none. Empty with `none`, and when `numeric` found nothing.
    pub hints: BTreeMap<String, Hint>,
    /// Whether the container may run.
    pub admit: bool,
    /// There were so many combinations that not all were looked at; there may be a better answer.
    pub cut: bool,
}

impl Merged {
    /// Why the container may not run, in one line; `None` when it may. Takes the policy and the providers that were merged.
    #[must_use]
    pub fn refusal(&self, policy: TopologyPolicy, providers: &[Provider]) -> Option<Refusal> {
        let cut = if self.cut { "; not every combination was looked at" } else { "" };
        let line = || format!("{policy} needs {}; offered: {}{cut}", policy.needs(), offer::line(providers));
        (!self.admit).then(|| Refusal::by(Rule::TopologyPolicy, line()))
    }
}

/// Merges what the providers offer. `nodes` are all NUMA nodes of the machine, `distance` is the kernel's table.
///
/// The order of providers, and of the hints of one resource, has no meaning. Nodes that the machine does not have are never in the answer.
#[must_use]
pub fn merge(policy: TopologyPolicy, options: &MergeOptions, nodes: &NumaSet, distance: &Distance<'_>, providers: &[Provider]) -> Merged {
    let (names, lists): (Vec<String>, Vec<Vec<Hint>>) = offer::all(providers).into_iter().unzip();
    match policy {
        TopologyPolicy::None => Merged { hints: BTreeMap::new(), admit: true, cut: false },
        TopologyPolicy::Numeric if providers.iter().any(Provider::says_nowhere) => {
            Merged { hints: BTreeMap::new(), admit: false, cut: false }
        }
        TopologyPolicy::Numeric => numeric::merge(&options.align_resources, nodes, &names, &lists),
        TopologyPolicy::SingleNumaNode => {
            let lists = single_node_hints(&lists);
            let (mut hint, cut) = agree::best(&lists, nodes, &HintOrder::narrowest(&lists));
            // Kubelet's answer: all nodes of the machine are no choice.
            hint.nodes = hint.nodes.filter(|chosen| chosen != nodes);
            same_for_all(policy, names, &hint, cut)
        }
        TopologyPolicy::BestEffort | TopologyPolicy::Restricted => {
            let order = if options.prefer_closest_numa { HintOrder::closest(&lists, distance) } else { HintOrder::narrowest(&lists) };
            let (hint, cut) = agree::best(&lists, nodes, &order);
            same_for_all(policy, names, &hint, cut)
        }
    }
}

fn same_for_all(policy: TopologyPolicy, names: Vec<String>, hint: &Hint, cut: bool) -> Merged {
    Merged { hints: names.into_iter().map(|name| (name, hint.clone())).collect(), admit: policy.admits(hint), cut }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
