//! The words that Events carry, and which decisions become one.

use crate::kubernetes::{EventKind, EvictionOutcome};
use gleaner_model::Reason;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $action:literal;)*) => {
        /// The `reason` of an Event. The list is closed and a part of the interface: people filter by these words (`docs/events.md`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum EventReason {
            $($(#[$doc])* $name,)*
        }

        impl EventReason {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Whether it is trouble.
            pub(crate) const fn kind(self) -> EventKind {
                match self {
                    $(Self::$name => EventKind::$kind,)*
                }
            }

            /// What was done or tried: the `action` of the Event, which the API server demands.
            pub(crate) const fn action(self) -> &'static str {
                match self {
                    $(Self::$name => $action,)*
                }
            }
        }
    };
}

words! {
    /// A pod cannot be given what it asks for.
    ResourcesRefused: Warning, "Placing";
    /// A pod's annotations are wrong, and count as not written.
    AnnotationsInvalid: Warning, "Classifying";
    /// A pod got CPUs of its own.
    DedicatedCPUsAssigned: Normal, "Placing";
    /// A pod's own CPUs are others than before.
    DedicatedCPUsMoved: Normal, "Placing";
    /// A reclaimed pod must go: far more CPU was promised than there is.
    EvictedCPUSuppressed: Warning, "Evicting";
    /// A reclaimed pod must go: tasks wait for memory.
    EvictedMemoryPressure: Warning, "Evicting";
    /// A reclaimed pod must go: the node runs out of memory.
    EvictedMemoryLow: Warning, "Evicting";
    /// A disruption budget stands against an eviction.
    EvictionBlocked: Warning, "Evicting";
    /// An eviction was refused, or not possible for too long.
    EvictionFailed: Warning, "Evicting";
    /// A part of the agent works less well than it should.
    AgentDegraded: Warning, "Watching";
    /// That part works again.
    AgentRecovered: Normal, "Watching";
    /// The kubelet's static CPU manager is active, and gives CPUs away by itself.
    KubeletManagesCPUs: Normal, "Placing";
    /// The cluster's configuration is not in force on this node.
    ConfigurationRefused: Warning, "Configuring";
}

/// The action that belongs to a word.
pub(super) fn action_of(word: &str) -> &'static str {
    EventReason::ALL.iter().find(|reason| reason.as_str() == word).map_or("Reporting", |reason| reason.action())
}

/// The Event of a decision: whether it is trouble, its word and its sentence. `None` for figures that change all the time, and for what has no meaning
/// outside the node.
///
/// [`Reason::Placed`] is decided about pools: only that of a pool which one dedicated pod has for itself is an Event of that pod.
pub(crate) fn event_of(reason: &Reason) -> Option<(EventKind, &'static str, String)> {
    let (word, note) = match reason {
        Reason::Refused { cause } => (EventReason::ResourcesRefused, cause.clone()),
        Reason::Placed { moved: 0, .. } => return None,
        Reason::Placed { cpus, moved, .. } if *moved == cpus.count() => (EventReason::DedicatedCPUsAssigned, reason.to_string()),
        Reason::Placed { .. } => (EventReason::DedicatedCPUsMoved, reason.to_string()),
        Reason::EvictSuppressed { .. } => (EventReason::EvictedCPUSuppressed, reason.to_string()),
        Reason::EvictMemoryPressure { .. } => (EventReason::EvictedMemoryPressure, reason.to_string()),
        Reason::EvictMemoryLow { .. } => (EventReason::EvictedMemoryLow, reason.to_string()),
        Reason::Health { problem: Some(_), .. } => (EventReason::AgentDegraded, reason.to_string()),
        Reason::Health { problem: None, .. } => (EventReason::AgentRecovered, reason.to_string()),
        Reason::ReclaimableCpu { .. }
        | Reason::ReclaimableMemory { .. }
        | Reason::PoolSize { .. }
        | Reason::Isolated { .. }
        | Reason::Joined { .. }
        | Reason::Quota { .. }
        | Reason::MemoryBound { .. }
        | Reason::MemoryProtected { .. }
        | Reason::OomScore { .. }
        | Reason::IdleClass
        | Reason::Weight { .. }
        | Reason::AsRequested
        | Reason::Wrote { .. }
        | Reason::WriteFailed { .. }
        | Reason::MemoryTakenBack { .. }
        | Reason::Lifecycle { .. } => return None,
    };
    Some((word.kind(), word.as_str(), note))
}

/// The Event of what came of an eviction. None for one that succeeded: that it was decided is told already.
pub(crate) fn event_of_outcome(outcome: &EvictionOutcome) -> Option<(EventKind, &'static str, String)> {
    let (word, note) = match outcome {
        // The distance is left out: it grows, and the same sentence makes one series.
        EvictionOutcome::Blocked { cause, .. } => (EventReason::EvictionBlocked, format!("not evicted yet: {cause}")),
        EvictionOutcome::Failed(cause) => (EventReason::EvictionFailed, format!("not evicted: {cause}")),
        EvictionOutcome::Accepted | EvictionOutcome::Gone => return None,
    };
    Some((word.kind(), word.as_str(), note))
}
