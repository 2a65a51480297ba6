//! Waiting for what another process does.

use gleaner_host::clock;
use gleaner_model::Timestamp;
use nix::poll::{PollTimeout, poll};
use std::time::Duration;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(100);
/// How long something may take on an ordinary machine. Never reached when all is well.
const LONGEST: Duration = Duration::from_secs(60);

/// By how much this machine is slower than an ordinary one (`GLEANER_TEST_SLOW`, 1 without it).
#[must_use]
pub fn slow() -> u32 {
    std::env::var("GLEANER_TEST_SLOW").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// Does nothing for a while.
pub fn pause(time: Duration) {
    let millis = u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
    // No descriptors: only the time limit ends it.
    let _ = poll(&mut [], PollTimeout::from(millis));
}

/// The moment at which a test gives up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// The usual time from now on.
    #[must_use]
    pub fn usual() -> Self {
        Self(clock::now().after(LONGEST.saturating_mul(slow())))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn passed(self) -> bool {
        clock::now() >= self.0
    }

    /// Waits until the next look; false when there is none left.
    #[must_use]
    pub fn again(self) -> bool {
        if self.passed() {
            return false;
        }
        pause(EVERY);
        true
    }
}

/// Looks until there is an answer.
///
/// # Panics
/// When there is none in the usual time; the message is what was waited for.
pub fn poll_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::usual();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(deadline.again(), "still not so: {what}");
    }
}
