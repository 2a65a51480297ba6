//! How long to wait before something is tried again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(60);

/// The wait after so many failures in a row: it doubles from 0.8 s up to 60 s. Each node takes a part between half and all of it, another one each
/// time, so that the nodes of a cluster do not come back together when its API server does.
pub(crate) fn wait(node: &str, failures: u32) -> Duration {
    let doubled = 2u32.checked_pow(failures).and_then(|times| FIRST.checked_mul(times));
    let most = doubled.map_or(LONGEST, |doubled| doubled.min(LONGEST));
    part(node, failures, most / 2) + most / 2
}

/// A part of a span, by node and number.
pub(crate) fn part(node: &str, number: u32, span: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (node, number).hash(&mut hasher);
    span / 1000 * u32::try_from(hasher.finish() % 1001).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_differ_between_nodes() {
        for failures in 1..200 {
            let most = Duration::from_millis(800 << failures.min(7)).min(LONGEST);
            for node in ["a", "b", "node-17"] {
                let wait = wait(node, failures);
                assert!(wait >= most / 2 && wait <= most, "{node} after {failures}: {wait:?} of {most:?}");
            }
        }
        assert_eq!(wait("a", 9), wait("a", 9));
        assert_ne!(wait("a", 9), wait("b", 9));
        assert_ne!(wait("a", 9), wait("a", 10), "another part each time");
        assert!(wait("a", u32::MAX) <= LONGEST);
    }
}
