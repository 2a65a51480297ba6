//! What is due now: how far a pod's bounds go down, and who is asked for memory. Values in, values out.

use gleaner_model::{Bytes, Limit, PodUid, TakeBackOutcome, Timestamp};
use gleaner_qrm_plugins::{Holding, MemoryStep, Reclaiming, TakeBackPolicy, take_back};
use std::cmp::Reverse;
use std::time::Duration;

/// Pods that are asked at once at most.
const REQUESTS: usize = 4;
/// What they are asked for together at most. One that alone is more is asked alone.
const BYTES: Bytes = Bytes::new(512 << 20);
/// How long a pod that had no more to give is left alone, unless it grows.
const BACK_OFF: Duration = Duration::from_secs(10);

/// What a pod may hold in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Goal {
    /// Above this it is slowed down, and memory is taken back.
    pub(super) high: Bytes,
    /// Above this it is killed; not less than `high`.
    pub(super) max: Bytes,
}

/// How a pod is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    /// What it holds; `None` while that is not known.
    pub(super) usage: Option<Bytes>,
    /// Where it is slowed down; `None` where the kernel has no such bound.
    pub(super) high: Option<Limit<Bytes>>,
    /// Where it is killed; `None` where the kernel has no such bound.
    pub(super) max: Option<Limit<Bytes>>,
    /// How the kernel can be asked.
    pub(super) reclaiming: Reclaiming,
    /// Whether asking would be in vain.
    pub(super) exhausted: bool,
}

/// Bounds of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) high: Limit<Bytes>,
    pub(super) max: Limit<Bytes>,
}

impl From<Goal> for Bounds {
    fn from(goal: Goal) -> Self {
        Self { high: Limit::At(goal.high), max: Limit::At(goal.max) }
    }
}

/// Whether a pod holds so much more than it may that the kernel is asked. The kernel charges in batches, so a pod that is held at its bound
/// is often a little above.
pub(super) fn is_above(usage: Bytes, allowed: Bytes, policy: &TakeBackPolicy) -> bool {
    usage.minus(allowed) > policy.margin.min(allowed.scaled(1, 8))
}

/// The bounds of this tick on the way to the goal. A bound rises at once. It goes down as [`take_back`] says: of what nothing is known
/// nothing goes down, and nobody is killed by a limit that was lowered.
pub(super) fn on_the_way(goal: Goal, now: &Now, policy: &TakeBackPolicy) -> Bounds {
    let asks = |usage| !now.exhausted && now.reclaiming != Reclaiming::NotOffered && is_above(usage, goal.high, policy);
    let high = now.high.map_or(Limit::At(goal.high), |in_force| {
        let lower = now.usage.and_then(|usage| slowed(usage, goal.high, in_force, asks(usage), policy));
        lower.unwrap_or(in_force).min(in_force).max(Limit::At(goal.high))
    });
    let max = now.max.map_or(Limit::At(goal.max), |in_force| {
        let lower = now.usage.and_then(|usage| killed(usage, goal.max, in_force, asks(usage), policy));
        lower.unwrap_or(in_force).max(Limit::At(goal.max))
    });
    Bounds { high, max }
}

/// Where it is slowed down, if that goes down. The write itself takes back what is above, and the event loop waits for it. So what the
/// kernel can be asked for is left to that.
fn slowed(usage: Bytes, allowed: Bytes, in_force: Limit<Bytes>, asks: bool, policy: &TakeBackPolicy) -> Option<Limit<Bytes>> {
    let state = Holding { usage, allowed, high: Some(in_force), max: Limit::Max, reclaiming: Reclaiming::NotOffered, exhausted: false };
    take_back(&state, policy).into_iter().find_map(|step| match step {
        MemoryStep::SlowDown { high, .. } if asks => Some(Limit::At(high.max(usage.minus(policy.margin)))),
        MemoryStep::SlowDown { high, .. } => Some(Limit::At(high)),
        MemoryStep::Reclaim { .. } | MemoryStep::Limit { .. } => None,
    })
}

/// Where it is killed, if that goes down: not before what can be taken back is.
fn killed(usage: Bytes, allowed: Bytes, in_force: Limit<Bytes>, asks: bool, policy: &TakeBackPolicy) -> Option<Limit<Bytes>> {
    let reclaiming = if asks { Reclaiming::Everything } else { Reclaiming::NotOffered };
    let state = Holding { usage, allowed, high: None, max: in_force, reclaiming, exhausted: false };
    take_back(&state, policy).into_iter().find_map(|step| match step {
        MemoryStep::Limit { max, .. } => Some(Limit::At(max)),
        MemoryStep::SlowDown { .. } | MemoryStep::Reclaim { .. } => None,
    })
}

/// How the last attempt to take memory back from a pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    /// When.
    pub(super) at: Timestamp,
    /// What the pod held afterwards, as far as it is known.
    pub(super) held: Bytes,
    /// Whether it had no more to give.
    pub(super) exhausted: bool,
}

impl Attempt {
    /// Of an attempt after which a pod that held `before` holds `held`. It has no more to give when the kernel says so, or when it holds not
    /// much less than before: it takes again what it gave, or the kernel, asked for all that can be had, found little.
    pub(super) fn new(at: Timestamp, asked: Bytes, before: Bytes, held: Bytes, outcome: &TakeBackOutcome) -> Self {
        let exhausted = *outcome != TakeBackOutcome::Done || before.minus(held) < asked.scaled(1, 2);
        Self { at, held, exhausted }
    }

    /// Whether another one would be in vain: not long has passed, and the pod has not grown.
    pub(super) fn exhausts(&self, usage: Bytes, now: Timestamp, policy: &TakeBackPolicy) -> bool {
        self.exhausted && now.since(self.at) < BACK_OFF && usage <= self.held.plus(policy.margin)
    }
}

/// A pod that holds more than it may, and of which it is not known that asking would be in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) pod: PodUid,
    pub(super) usage: Bytes,
    pub(super) allowed: Bytes,
    pub(super) reclaiming: Reclaiming,
    /// When it was asked last.
    pub(super) asked: Option<Timestamp>,
}

/// A pod to be asked, and for how much in each write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) pod: PodUid,
    pub(super) chunks: Vec<Bytes>,
    /// What the kernel may have to look at.
    pub(super) cost: Bytes,
}

/// Who is asked in this tick, beside requests with these costs that the kernel is still at: who was asked longest ago first, of several the
/// one with the largest excess. There is one request a pod, and a bound on their number and on what they ask for together.
pub(super) fn due(mut candidates: Vec<Candidate>, busy: &[Bytes], policy: &TakeBackPolicy) -> Vec<Request> {
    candidates.sort_by_key(|c| (c.asked, Reverse(c.usage.minus(c.allowed)), c.pod.clone()));
    let mut left = BYTES.minus(busy.iter().copied().sum());
    let mut alone = busy.is_empty();
    let mut requests = Vec::new();
    for candidate in candidates {
        if busy.len() + requests.len() >= REQUESTS {
            break;
        }
        let mut request = Request { pod: candidate.pod.clone(), chunks: Vec::new(), cost: Bytes::ZERO };
        for (bytes, cost) in chunks(&candidate, policy) {
            if !alone && cost > left {
                break;
            }
            (alone, left) = (false, left.minus(cost));
            request.chunks.push(bytes);
            request.cost = request.cost.plus(cost);
        }
        requests.extend((!request.chunks.is_empty()).then_some(request));
    }
    requests
}

/// The amounts that a pod is asked for, and what the kernel may have to look at for each. Where it cannot be asked for an amount, that is all
/// that the pod holds.
fn chunks(candidate: &Candidate, policy: &TakeBackPolicy) -> Vec<(Bytes, Bytes)> {
    let Candidate { usage, allowed, reclaiming, .. } = *candidate;
    let state = Holding { usage, allowed, high: None, max: Limit::Max, reclaiming, exhausted: false };
    let cost = |bytes| if reclaiming == Reclaiming::Everything { usage } else { bytes };
    let amount = |step| if let MemoryStep::Reclaim { bytes, .. } = step { Some((bytes, cost(bytes))) } else { None };
    take_back(&state, policy).into_iter().filter_map(amount).collect()
}
