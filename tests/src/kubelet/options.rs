//! What a kubelet is started with.

use super::connection::Caller;
use super::merge::TopologyPolicy;
use super::pod::QrmPod;
use gleaner_model::NumaSet;
use std::fmt;
use std::time::Duration;

/// How this kubelet behaves. The default is the fork's own way, on a machine with one NUMA node.
#[derive(Debug)]
pub struct Options {
    /// How it presents itself to plugins.
    pub caller: Caller,
    /// The topology manager's policy.
    pub policy: TopologyPolicy,
    /// The machine's NUMA nodes.
    pub nodes: NumaSet,
    /// How often it reconciles by itself; never when `None`. The fork's default is [`FORK_RECONCILES`].
    pub reconcile: Option<Duration>,
    /// What a changed allocation is applied with.
    pub apply: Apply,
    /// What it does wrong.
    pub misbehave: Misbehave,
}

/// The period in which the fork reconciles when nobody says otherwise.
pub const FORK_RECONCILES: Duration = Duration::from_secs(3);

impl Default for Options {
    fn default() -> Self {
        Self {
            caller: Caller::default(),
            policy: TopologyPolicy::default(),
            nodes: "0".parse().unwrap(),
            reconcile: None,
            apply: Apply::default(),
            misbehave: Misbehave::default(),
        }
    }
}

/// What a kubelet does wrong while plugins introduce themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Misbehave {
    /// It looks at a new socket this much later.
    pub delay: Duration,
    /// What it leaves out.
    pub drop: Dropped,
}

/// A part of the introduction that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dropped {
    /// Nothing.
    #[default]
    Nothing,
    /// The verdict: the plugin is in use and is never told so.
    Verdict,
    /// Everything after `GetInfo`, the first time that it sees a socket. It tries again.
    Introduction,
}

type Applier = dyn FnMut(&QrmPod, &str, &str, &str) -> Result<(), String> + Send;

/// Brings a value to a container: pod, container, property, value. What fails is tried again at the next reconciliation.
pub struct Apply(pub(super) Box<Applier>);

impl Apply {
    /// By this function.
    pub fn with(apply: impl FnMut(&QrmPod, &str, &str, &str) -> Result<(), String> + Send + 'static) -> Self {
        Self(Box::new(apply))
    }
}

impl Default for Apply {
    /// By doing nothing.
    fn default() -> Self {
        Self::with(|_, _, _, _| Ok(()))
    }
}

impl fmt::Debug for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Apply")
    }
}
