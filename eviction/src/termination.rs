//! How the processes of a pod are ended.

use gleaner_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Between two kills of processes that live on: one in uninterruptible sleep dies only when the kernel lets it, and one that was being
/// forked at the first kill escaped it.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// That a pod must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Termination {
    /// When it was asked to.
    pub asked_at: Timestamp,
    /// How long after that its processes may live; zero: none are asked, all are killed.
    pub grace: Duration,
}

/// How far a termination is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing was done yet.
    #[default]
    Asked,
    /// The processes were asked to end.
    Terminating,
    /// The processes were killed, last at this moment.
    Killed {
        /// The moment.
        at: Timestamp,
    },
    /// No process is left. What starts afterwards is not of this termination.
    Done,
}

/// What to do to the processes of the pod now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Ask them to end (`SIGTERM`).
    Terminate,
    /// Kill them (`SIGKILL`, or `cgroup.kill`).
    Kill,
}

impl Termination {
    /// The next phase, and what to do now. `alive` says whether any process of the pod is left.
    ///
    /// The grace period runs from `asked_at`, so that an agent that was restarted in between and begins with [`Phase::Asked`] again
    /// does not grant it twice.
    #[must_use]
    pub fn step(&self, phase: Phase, now: Timestamp, alive: bool) -> (Phase, Option<Action>) {
        let expired = now.since(self.asked_at) >= self.grace;
        match phase {
            Phase::Done => (Phase::Done, None),
            _ if !alive => (Phase::Done, None),
            Phase::Killed { at } if now.since(at) < KILL_AGAIN => (phase, None),
            Phase::Killed { .. } => (Phase::Killed { at: now }, Some(Action::Kill)),
            Phase::Asked | Phase::Terminating if expired => (Phase::Killed { at: now }, Some(Action::Kill)),
            Phase::Asked => (Phase::Terminating, Some(Action::Terminate)),
            Phase::Terminating => (Phase::Terminating, None),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::since_boot(Duration::from_millis(millis))
    }

    /// What is done when, for a pod asked at 1 s whose processes live until `dies`.
    fn actions(grace: u64, steps: &[u64], dies: u64) -> (Vec<(u64, Action)>, Phase) {
        let termination = Termination { asked_at: at(1000), grace: Duration::from_millis(grace) };
        let mut phase = Phase::default();
        let mut done = Vec::new();
        for now in steps {
            let (next, action) = termination.step(phase, at(*now), *now < dies);
            done.extend(action.map(|action| (*now, action)));
            phase = next;
        }
        (done, phase)
    }

    #[test]
    fn processes_are_asked_then_killed_until_none_is_left() {
        use Action::{Kill, Terminate};
        // Name, grace period, times of steps, death, actions, last phase; times in milliseconds.
        type Row = (&'static str, u64, &'static [u64], u64, &'static [(u64, Action)], Phase);
        let table: [Row; 6] = [
            ("ends by itself", 30_000, &[1000, 2000, 3000], 2500, &[(1000, Terminate)], Phase::Done),
            ("waits for the grace period", 2000, &[1000, 2000, 2999], 9000, &[(1000, Terminate)], Phase::Terminating),
            ("killed after it", 2000, &[1000, 3000], 9000, &[(1000, Terminate), (3000, Kill)], Phase::Killed { at: at(3000) }),
            (
                "killed again each second",
                1000,
                &[1000, 2000, 2500, 2999, 3000, 4100, 5000, 6000],
                5500,
                &[(1000, Terminate), (2000, Kill), (3000, Kill), (4100, Kill)],
                Phase::Done,
            ),
            ("no grace period", 0, &[1000, 1500], 1200, &[(1000, Kill)], Phase::Done),
            ("had no process", 1000, &[1000, 2000, 9000], 0, &[], Phase::Done),
        ];
        for (name, grace, steps, dies, expected, phase) in table {
            assert_eq!(actions(grace, steps, dies), (expected.to_vec(), phase), "{name}");
        }
    }

    #[test]
    fn a_restarted_agent_does_not_grant_the_grace_period_twice() {
        let termination = Termination { asked_at: at(0), grace: Duration::from_secs(5) };
        assert_eq!(termination.step(Phase::Asked, at(3000), true), (Phase::Terminating, Some(Action::Terminate)));
        assert_eq!(termination.step(Phase::Asked, at(5000), true), (Phase::Killed { at: at(5000) }, Some(Action::Kill)));
    }

    #[test]
    fn a_phase_round_trips_as_json() {
        for phase in [Phase::Asked, Phase::Terminating, Phase::Killed { at: at(1500) }, Phase::Done] {
            let text = serde_json::to_string(&phase).unwrap();
            assert_eq!(serde_json::from_str::<Phase>(&text).unwrap(), phase, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_killed_in_the_grace_period_nor_when_dead(
            grace in 1u64..10_000, mut steps in prop::collection::vec(1000u64..30_000, 1..40), dies: u16
        ) {
            steps.sort_unstable();
            let dies = u64::from(dies);
            for (when, action) in actions(grace, &steps, dies).0 {
                prop_assert!(when < dies, "{action:?} at {when}");
                prop_assert!(action == Action::Terminate || when >= 1000 + grace, "killed at {when}");
            }
        }
    }
}
