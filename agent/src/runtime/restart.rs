//! When a container that ended runs again: kubelet's rules.

use crate::manifest::RestartPolicy;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// A container that ran this long begins its back-off anew.
const SETTLED: Duration = Duration::from_secs(600);

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// With a status.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// While no agent watched, or by a process that was not the agent's child.
    Unknown,
}

impl Exit {
    /// Whether it ended well; what is not known did not.
    pub(super) fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::Unknown => f.write_str("ended; its exit status is not known"),
        }
    }
}

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It stays ended.
    Done,
    /// It runs again after this long.
    Again(Duration),
}

/// What follows after a container ended; `restarts` counts those before. The first restart is immediate, then the wait doubles from 10 s to 5 min.
pub(super) fn after(policy: RestartPolicy, exit: Exit, restarts: u32) -> Next {
    let again = match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => !exit.success(),
        RestartPolicy::Never => false,
    };
    match (again, restarts) {
        (false, _) => Next::Done,
        (true, 0) => Next::Again(Duration::ZERO),
        (true, n) => Next::Again(FIRST.saturating_mul(2u32.saturating_pow(n - 1)).min(LONGEST)),
    }
}

/// Restarts that count for the next back-off after a run of this length.
pub(super) fn counted(restarts: u32, ran: Duration) -> u32 {
    if ran >= SETTLED { 0 } else { restarts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_ten_seconds_to_five_minutes() {
        let waits: Vec<u64> = (0..8)
            .map(|n| match after(RestartPolicy::Always, Exit::Code(1), n) {
                Next::Again(wait) => wait.as_secs(),
                Next::Done => panic!("policy Always stopped at {n}"),
            })
            .collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(after(RestartPolicy::Always, Exit::Code(1), u32::MAX), Next::Again(LONGEST));
    }

    #[test]
    fn the_policy_decides_who_runs_again() {
        let again = |policy, exit| after(policy, exit, 0) != Next::Done;
        assert!(again(RestartPolicy::Always, Exit::Code(0)));
        assert!(again(RestartPolicy::OnFailure, Exit::Unknown) && !again(RestartPolicy::OnFailure, Exit::Code(0)));
        assert!(!again(RestartPolicy::Never, Exit::Signal(9)));
    }

    #[test]
    fn a_long_run_begins_the_back_off_anew() {
        assert_eq!(counted(5, Duration::from_secs(599)), 5);
        assert_eq!(counted(5, SETTLED), 0);
    }
}
