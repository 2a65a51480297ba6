//! How long to wait before the next try, so that many nodes do not come at the same moment, and the clock that such waits go by.

use gleaner_model::Timestamp;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio::time::Instant;

/// The clock of one task, from its start. What a task decides by and what it sleeps by must be one clock, else it wakes before its time and goes round
/// without rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since its start.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::since_boot(self.0.elapsed())
    }

    /// The moment of the runtime's timers.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        self.0.checked_add(at.elapsed()).unwrap_or(self.0)
    }
}

/// The first wait of whoever follows something, and the longest: an API server that was away for an hour is found again within a minute.
pub(crate) const FIRST_WAIT: Duration = Duration::from_millis(800);
/// See [`FIRST_WAIT`].
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The wait before try number `tries` (the first repetition is 1): doubles from `first` to `most`, less up to a quarter that differs from node to node.
/// `salt` is a counter of the caller.
pub(crate) fn backoff(first: Duration, most: Duration, tries: u32, node: &str, salt: u64) -> Duration {
    let factor = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let whole = first.saturating_mul(factor).min(most);
    whole.saturating_sub(jitter(whole / 4, node, salt))
}

/// A part of `most`, always the same for one node and counter.
pub(crate) fn jitter(most: Duration, node: &str, salt: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (node, salt).hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 1001).unwrap_or(0);
    most.saturating_mul(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(300);

    proptest! {
        #[test]
        fn a_wait_is_within_a_quarter_of_its_step(tries: u32, salt: u64, node in "[a-z]{0,9}") {
            let wait = backoff(FIRST, MOST, tries, &node, salt);
            let whole = FIRST.saturating_mul(1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX)).min(MOST);
            prop_assert!(wait <= whole && wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
        }
    }

    #[test]
    fn nodes_differ_and_one_node_repeats() {
        let waits: std::collections::BTreeSet<_> = (0..50).map(|n| backoff(FIRST, MOST, 3, &format!("node-{n}"), 7)).collect();
        assert!(waits.len() > 30, "{} different waits of 50 nodes", waits.len());
        assert_eq!(jitter(MOST, "a", 1), jitter(MOST, "a", 1));
    }
}
