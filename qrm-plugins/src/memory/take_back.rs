//! Taking memory back in steps, so that lowering a limit kills nobody.

use gleaner_model::{Bytes, KnobValue, Limit};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the kernel can be asked to take memory back from a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reclaiming {
    /// For an amount.
    Amount,
    /// Only for all that can be had.
    Everything,
    /// Not at all.
    NotOffered,
}

/// What a reclaimed pod or container holds and what bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// What it holds.
    pub usage: Bytes,
    /// What it may hold.
    pub allowed: Bytes,
    /// Where it is slowed down now; `None` where the kernel has no such bound.
    pub high: Option<Limit<Bytes>>,
    /// Where it is killed now.
    pub max: Limit<Bytes>,
    /// How the kernel can be asked.
    pub reclaiming: Reclaiming,
    /// Whether the last attempt took back less than it was asked for, so that another one would be in vain.
    pub exhausted: bool,
}

/// How gently memory is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TakeBackPolicy {
    /// The most that the kernel is asked for at once.
    pub chunk: Bytes,
    /// How often a tick.
    pub chunks: u32,
    /// What a limit always leaves above what is held.
    pub margin: Bytes,
}

impl Default for TakeBackPolicy {
    fn default() -> Self {
        Self { chunk: Bytes::new(64 << 20), chunks: 4, margin: Bytes::new(16 << 20) }
    }
}

impl TakeBackPolicy {
    /// What is wrong with the policy, one line each; empty when nothing is.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.chunk.is_zero() {
            problems.push("chunk: nothing would ever be taken back".to_owned());
        }
        if self.chunks == 0 {
            problems.push("chunks: nothing would ever be taken back; at least 1".to_owned());
        }
        problems
    }

    /// What is taken back in one tick at most.
    fn in_a_tick(&self) -> Bytes {
        Bytes::new(self.chunk.get().saturating_mul(u64::from(self.chunks)))
    }
}

/// One step, with the numbers that led to it. As text it is the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryStep {
    /// Lower the bound above which it is slowed down.
    SlowDown {
        /// The bound from now on.
        high: Bytes,
        /// What it holds.
        usage: Bytes,
        /// What it may hold.
        allowed: Bytes,
    },
    /// Ask the kernel to take memory back.
    Reclaim {
        /// How much.
        bytes: Bytes,
        /// What it holds.
        usage: Bytes,
        /// What it may hold.
        allowed: Bytes,
    },
    /// Lower the bound above which it is killed.
    Limit {
        /// The bound from now on.
        max: Bytes,
        /// What it holds.
        usage: Bytes,
        /// What it may hold.
        allowed: Bytes,
    },
}

impl MemoryStep {
    /// The value of the knob that the step sets; `None` for an action that leaves none behind.
    #[must_use]
    pub const fn knob(&self) -> Option<KnobValue> {
        match self {
            Self::SlowDown { high, .. } => Some(KnobValue::MemoryHigh(Limit::At(*high))),
            Self::Limit { max, .. } => Some(KnobValue::MemoryMax(Limit::At(*max))),
            Self::Reclaim { .. } => None,
        }
    }
}

impl fmt::Display for MemoryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::SlowDown { usage, allowed, .. } | Self::Reclaim { usage, allowed, .. } | Self::Limit { usage, allowed, .. }) = self;
        match self {
            Self::SlowDown { high, .. } => write!(f, "slowed down above {}", high.rounded())?,
            Self::Reclaim { bytes, .. } => write!(f, "{} to be taken back", bytes.rounded())?,
            Self::Limit { max, .. } => write!(f, "killed above {}", max.rounded())?,
        }
        write!(f, ": holds {}, may hold {}", usage.rounded(), allowed.rounded())
    }
}

/// The steps of this tick towards what a pod or container may hold, in their order; none when it is there.
///
/// 1. It is slowed down above what it may hold, but not further below what it holds than can be taken back in a tick.
/// 2. The kernel is asked to take the excess back, in chunks.
/// 3. When that is done, or no more can be had, the limit goes down. It always stays a margin above what is held: nobody is killed by a
///    limit that was lowered. Whether a pod that holds on to too much must go is for eviction to say.
#[must_use]
pub fn take_back(state: &Holding, policy: &TakeBackPolicy) -> Vec<MemoryStep> {
    let Holding { usage, allowed, .. } = *state;
    let mut steps = Vec::new();
    let high = allowed.max(usage.minus(policy.in_a_tick()));
    if state.high.is_some_and(|now| now > Limit::At(high)) {
        steps.push(MemoryStep::SlowDown { high, usage, allowed });
    }
    let excess = usage.minus(allowed);
    let to_ask = if state.exhausted { Bytes::ZERO } else { excess };
    match state.reclaiming {
        Reclaiming::Amount if !to_ask.is_zero() => {
            steps.extend(chunks(to_ask, policy).map(|bytes| MemoryStep::Reclaim { bytes, usage, allowed }))
        }
        Reclaiming::Everything if !to_ask.is_zero() => steps.push(MemoryStep::Reclaim { bytes: to_ask, usage, allowed }),
        Reclaiming::Amount | Reclaiming::Everything | Reclaiming::NotOffered => {
            let max = allowed.max(usage.plus(policy.margin));
            if state.max > Limit::At(max) {
                steps.push(MemoryStep::Limit { max, usage, allowed });
            }
        }
    }
    steps
}

/// Parts of an amount, as many as a tick may have.
fn chunks(amount: Bytes, policy: &TakeBackPolicy) -> impl Iterator<Item = Bytes> {
    let chunk = policy.chunk;
    let mut left = amount;
    (0..policy.chunks).map_while(move |_| {
        let part = left.min(chunk);
        left = left.minus(part);
        (!part.is_zero()).then_some(part)
    })
}
