//! What the agent does for pods on this node: pure.

mod cluster;
mod isolation;

use super::facts::{Facts, NriSocket};
use super::{Feature, On};
use crate::config::Mode;

/// Every feature, in the order of the page.
pub(crate) fn features(facts: &Facts) -> Vec<Feature> {
    vec![
        isolation::own_cpus(facts),
        isolation::idle(facts),
        isolation::quota(facts),
        isolation::memory_protection(facts),
        isolation::slow_down(facts),
        isolation::take_back(facts),
        isolation::pressure(facts),
        isolation::order_of_killing(facts),
        before_creation(facts),
        cluster::node_status(facts),
        cluster::custom_node_resource(facts),
        cluster::eviction(facts),
        cluster::configuration(facts),
        cluster::exclusive_cpus(facts),
        feature("caches and memory bandwidth", On::No, "not in this version"),
    ]
}

fn feature(name: &'static str, on: On, because: impl Into<String>) -> Feature {
    Feature { name, on, because: because.into() }
}

/// Whether the runtime asks before it creates containers; `None`: nobody could tell.
fn runtime_asks(facts: &Facts) -> Option<bool> {
    match (&facts.agent, &facts.nri) {
        _ if facts.mode() != Mode::Nri => Some(false),
        (Ok(agent), _) => Some(agent.runtime.is_some()),
        (Err(_), NriSocket::There { listens, .. }) => *listens,
        (Err(_), NriSocket::Hidden(_)) => None,
        (Err(_), NriSocket::Absent | NriSocket::NoSocket) => Some(false),
    }
}

fn before_creation(facts: &Facts) -> Feature {
    let name = "asked before creation";
    match (facts.mode(), runtime_asks(facts)) {
        (Mode::Nri, Some(true)) => match &facts.agent {
            Ok(_) => feature(name, On::Yes, "the runtime asks the agent"),
            Err(_) => feature(name, On::Yes, "the runtime takes plugins"),
        },
        (Mode::Nri, Some(false)) => feature(name, On::No, "no runtime asks: containers are changed soon after they start"),
        (Mode::Nri, None) => feature(name, On::Unknown, "the runtime's socket cannot be seen"),
        (Mode::Reconcile, _) => feature(name, On::No, "mode reconcile: containers are changed soon after they start"),
        (Mode::Qrm, _) => feature(name, On::Yes, "kubelet asks for every allocation"),
        (Mode::Standalone, _) => feature(name, On::Yes, "the agent itself starts containers"),
    }
}
