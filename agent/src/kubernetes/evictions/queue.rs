//! Which eviction is asked for when: the state machine behind the task, without clock or network.

use crate::kubernetes::{EvictionOrder, EvictionOutcome, backoff, jitter};
use gleaner_model::{PodUid, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Evictions asked for at the same time.
pub(super) const IN_FLIGHT: usize = 8;
/// Orders kept; more pods than a node has.
const MOST: usize = 1024;
/// An order that is older than this is dropped: what caused it is long different, and who ordered it decides anew.
pub(super) const STALE: Duration = Duration::from_secs(600);
/// The first wait; less its quarter of jitter it is still 5 s.
const FIRST: Duration = Duration::from_millis(6700);
/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// The least wait, whatever the server says.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// What the API server made of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// It took it.
    Accepted,
    /// The pod is gone, or another has its name.
    Gone,
    /// A disruption budget stands against it now.
    Blocked {
        /// The server's sentence.
        cause: String,
        /// When the server wants to be asked again.
        after: Option<Duration>,
    },
    /// The server could not be reached or could not do it now; says nothing about the pod.
    Busy {
        /// What is wrong.
        cause: String,
        /// When the server wants to be asked again.
        after: Option<Duration>,
    },
    /// It refused for good.
    Refused(String),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask for this eviction, then give the answer to [`Queue::answered`].
    Send(EvictionOrder),
    /// Tell the outcome.
    Tell(PodUid, EvictionOutcome),
    /// Nothing until this moment, or until something arrives.
    Wait(Timestamp),
    /// Nothing until something arrives.
    Idle,
}

#[derive(Debug, Clone)]
struct Entry {
    order: EvictionOrder,
    /// When it was ordered.
    since: Timestamp,
    /// Not before this.
    due: Timestamp,
    /// Tries that did not succeed.
    tries: u32,
    /// What came of the last of them.
    last: Option<String>,
    /// The uid that an unanswered request is about; at most one request a pod.
    asking: Option<String>,
    /// Not wanted any more; kept only while a request is unanswered.
    withdrawn: bool,
}

/// All orders, by pod.
#[derive(Debug)]
pub(super) struct Queue {
    node: String,
    orders: BTreeMap<PodUid, Entry>,
    in_flight: usize,
    /// Waits so far, for the jitter.
    waits: u64,
}

impl Queue {
    pub(super) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), orders: BTreeMap::new(), in_flight: 0, waits: 0 }
    }

    /// Takes an order; a newer one for the same pod replaces the older. What the server said about waiting stays in force as long as the same pod is
    /// meant, so that ordering again and again does not ask again and again. Returns what is to be told when it cannot be kept.
    pub(super) fn order(&mut self, order: EvictionOrder, now: Timestamp) -> Option<EvictionOutcome> {
        let full = self.orders.len() >= MOST;
        match self.orders.get_mut(&order.pod) {
            Some(entry) => {
                if entry.order.api_uid != order.api_uid {
                    (entry.due, entry.tries, entry.last) = (now, 0, None);
                }
                (entry.order, entry.since, entry.withdrawn) = (order, now, false);
                None
            }
            None if full => Some(EvictionOutcome::Failed(format!("{MOST} other evictions wait already"))),
            None => {
                let pod = order.pod.clone();
                let entry = Entry { order, since: now, due: now, tries: 0, last: None, asking: None, withdrawn: false };
                self.orders.insert(pod, entry);
                None
            }
        }
    }

    /// Takes an order back. A request that is under way may still succeed; its outcome is then told.
    pub(super) fn withdraw(&mut self, pod: &PodUid) {
        if let Some(entry) = self.orders.get_mut(pod) {
            entry.withdrawn = true;
            if entry.asking.is_none() {
                self.orders.remove(pod);
            }
        }
    }

    /// What is to be done now: orders that are too old first, then the one that has been due for longest.
    pub(super) fn next(&mut self, now: Timestamp) -> Step {
        let stale = self.waiting().find(|(_, entry)| now.since(entry.since) >= STALE).map(|(pod, _)| pod.clone());
        if let Some(pod) = stale {
            let last = self.orders.remove(&pod).and_then(|entry| entry.last);
            let cause = last.map_or_else(String::new, |last| format!(": {last}"));
            return Step::Tell(pod, EvictionOutcome::Failed(format!("not possible within {} s{cause}", STALE.as_secs())));
        }
        let free = self.in_flight < IN_FLIGHT;
        let first = self.waiting().filter(|(_, entry)| free && entry.due <= now).min_by_key(|(_, entry)| entry.due);
        let first = first.map(|(pod, _)| pod.clone());
        if let Some(entry) = first.and_then(|pod| self.orders.get_mut(&pod)) {
            entry.asking = Some(entry.order.api_uid.clone());
            self.in_flight += 1;
            return Step::Send(entry.order.clone());
        }
        let stale = |entry: &Entry| entry.since.after(STALE);
        let wake = self.waiting().map(|(_, entry)| if free { entry.due.min(stale(entry)) } else { stale(entry) }).min();
        wake.map_or(Step::Idle, Step::Wait)
    }

    /// Takes the answer to what [`Step::Send`] asked for. Returns what is to be told.
    pub(super) fn answered(&mut self, pod: &PodUid, answer: Answered, now: Timestamp) -> Option<EvictionOutcome> {
        let Self { node, orders, in_flight, waits } = self;
        let entry = orders.get_mut(pod)?;
        let asked = entry.asking.take()?;
        *in_flight = in_flight.saturating_sub(1);
        if asked != entry.order.api_uid {
            // Another pod is meant by now; this answer says nothing about it.
            if entry.withdrawn {
                orders.remove(pod);
            }
            return None;
        }
        let (blocked, cause, after) = match answer {
            Answered::Accepted => return orders.remove(pod).map(|_| EvictionOutcome::Accepted),
            Answered::Gone => return orders.remove(pod).map(|_| EvictionOutcome::Gone),
            _ if entry.withdrawn => {
                orders.remove(pod);
                return None;
            }
            Answered::Refused(cause) => return orders.remove(pod).map(|_| EvictionOutcome::Failed(cause)),
            Answered::Blocked { cause, after } => (true, cause, after),
            Answered::Busy { cause, after } => (false, cause, after),
        };
        entry.tries = entry.tries.saturating_add(1);
        *waits = waits.wrapping_add(1);
        let again_in = wait(after, entry.tries, node, *waits);
        entry.due = now.after(again_in);
        entry.last = Some(cause.clone());
        blocked.then_some(EvictionOutcome::Blocked { cause, again_in })
    }

    /// Orders without an unanswered request.
    fn waiting(&self) -> impl Iterator<Item = (&PodUid, &Entry)> {
        self.orders.iter().filter(|(_, entry)| entry.asking.is_none())
    }
}

/// When to try again: when the server says, else later and later. Never in step with other nodes.
fn wait(after: Option<Duration>, tries: u32, node: &str, salt: u64) -> Duration {
    match after.filter(|after| !after.is_zero()) {
        Some(after) => {
            let asked = after.clamp(SHORTEST, LONGEST);
            asked.saturating_add(jitter(asked / 4, node, salt)).min(LONGEST)
        }
        None => backoff(FIRST, LONGEST, tries, node, salt),
    }
}

#[cfg(test)]
mod tests;
