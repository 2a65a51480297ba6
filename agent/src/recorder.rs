//! Keeps the last decisions, for people to ask why.

use gleaner_model::{Decision, Reason, Subject, TakeBackOutcome, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Decisions kept in all.
const KEPT: usize = 256;
/// Decisions kept of one subject, so that a busy pod does not push out another's.
const KEPT_EACH: usize = 8;
/// Subjects remembered; a node's 500 pods and their pools, with room for those that ended lately. Memory is at most
/// `3 * SUBJECTS * KEPT_EACH + KEPT` decisions of a few hundred bytes each.
const SUBJECTS: usize = 1024;

/// What is kept of one subject. What happened to it is kept apart from what was decided about it, so that a container that crashes again and again
/// does not push out why the pod has its CPUs. So are requests for its memory, of which there may be one a tick.
#[derive(Default)]
struct About {
    decided: VecDeque<Decision>,
    happened: VecDeque<Decision>,
    taken: VecDeque<Decision>,
}

impl About {
    fn all(&self) -> impl Iterator<Item = &Decision> {
        self.decided.iter().chain(&self.happened).chain(&self.taken)
    }
}

/// The last decisions, in all and by subject.
#[derive(Default)]
pub(crate) struct Recorder {
    last: VecDeque<Decision>,
    by_subject: BTreeMap<Subject, About>,
    counts: BTreeMap<&'static str, u64>,
    /// Decisions that were not told to the cluster yet; `None` where there is none to tell.
    untold: Option<Vec<Decision>>,
}

impl Recorder {
    /// Adds a decision and logs it.
    pub(crate) fn record(&mut self, at: Timestamp, subject: Subject, reason: Reason) {
        match is_trouble(&reason) {
            true => tracing::warn!(subject = %subject, kind = kind(&reason), "{reason}"),
            false => tracing::info!(subject = %subject, kind = kind(&reason), "{reason}"),
        }
        *self.counts.entry(kind(&reason)).or_default() += 1;
        let decision = Decision { at, subject: subject.clone(), reason };
        push(&mut self.last, decision.clone(), KEPT);
        if let Some(untold) = self.untold.as_mut().filter(|untold| untold.len() < KEPT) {
            untold.push(decision.clone());
        }
        if self.by_subject.len() >= SUBJECTS && !self.by_subject.contains_key(&subject) {
            self.drop_oldest_subject();
        }
        let about = self.by_subject.entry(subject).or_default();
        let kept = match decision.reason {
            Reason::Lifecycle { .. } => &mut about.happened,
            Reason::MemoryTakenBack { .. } => &mut about.taken,
            _ => &mut about.decided,
        };
        push(kept, decision, KEPT_EACH);
    }

    /// Adds a figure that changes all the time only when it says something new: another rule, or more than a twentieth of `scale` away from what
    /// was recorded last.
    pub(crate) fn record_figure(
        &mut self,
        at: Timestamp,
        subject: Subject,
        reason: Reason,
        figure: impl Fn(&Reason) -> Option<(u64, String)>,
        scale: u64,
    ) {
        let last = self.by_subject.get(&subject).and_then(|about| about.decided.iter().rev().find_map(|d| figure(&d.reason)));
        let news = match (last, figure(&reason)) {
            (Some((old, old_rule)), Some((new, rule))) => old_rule != rule || old.abs_diff(new) > scale / 20,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if news {
            self.record(at, subject, reason);
        }
    }

    /// From now on decisions are kept until they are taken to be told to the cluster; what is more than [`KEPT`] at a time is not told.
    pub(crate) fn keep_untold(&mut self) {
        self.untold = Some(Vec::new());
    }

    /// Decisions since this was asked last.
    pub(crate) fn take_untold(&mut self) -> Vec<Decision> {
        self.untold.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All decisions kept, the oldest first.
    pub(crate) fn last(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.last.iter()
    }

    /// Those about one subject, the oldest first.
    pub(crate) fn about(&self, subject: &Subject) -> Vec<Decision> {
        let mut all: Vec<Decision> = self.by_subject.get(subject).map(|about| about.all().cloned().collect()).unwrap_or_default();
        all.sort_by_key(|decision| decision.at);
        all
    }

    /// Decisions made since the start, by kind.
    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    fn drop_oldest_subject(&mut self) {
        let oldest = self.by_subject.iter().min_by_key(|(_, about)| about.all().map(|d| d.at).max()).map(|(subject, _)| subject.clone());
        if let Some(subject) = oldest {
            self.by_subject.remove(&subject);
        }
    }
}

fn push(queue: &mut VecDeque<Decision>, decision: Decision, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(decision);
}

/// Whether somebody should look at it.
const fn is_trouble(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Refused { .. }
            | Reason::WriteFailed { .. }
            | Reason::EvictSuppressed { .. }
            | Reason::EvictMemoryPressure { .. }
            | Reason::EvictMemoryLow { .. }
            | Reason::MemoryTakenBack { outcome: TakeBackOutcome::Failed(_), .. }
            | Reason::Health { problem: Some(_), .. }
    )
}

/// The kind of a decision, as logs and metrics name it: that of its JSON.
pub(crate) const fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::ReclaimableCpu { .. } => "reclaimable_cpu",
        Reason::ReclaimableMemory { .. } => "reclaimable_memory",
        Reason::PoolSize { .. } => "pool_size",
        Reason::Isolated { .. } => "isolated",
        Reason::Placed { .. } => "placed",
        Reason::Joined { .. } => "joined",
        Reason::Refused { .. } => "refused",
        Reason::Quota { .. } => "quota",
        Reason::MemoryBound { .. } => "memory_bound",
        Reason::MemoryProtected { .. } => "memory_protected",
        Reason::OomScore { .. } => "oom_score",
        Reason::IdleClass => "idle_class",
        Reason::Weight { .. } => "weight",
        Reason::AsRequested => "as_requested",
        Reason::Wrote { .. } => "wrote",
        Reason::WriteFailed { .. } => "write_failed",
        Reason::EvictSuppressed { .. } => "evict_suppressed",
        Reason::EvictMemoryPressure { .. } => "evict_memory_pressure",
        Reason::EvictMemoryLow { .. } => "evict_memory_low",
        Reason::MemoryTakenBack { .. } => "memory_taken_back",
        Reason::Lifecycle { .. } => "lifecycle",
        Reason::Health { .. } => "health",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_model::Bytes;

    fn subject(n: usize) -> Subject {
        Subject::Pool(format!("p{n}").parse().unwrap())
    }

    fn lifecycle(n: usize) -> Reason {
        Reason::Lifecycle { what: n.to_string() }
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let mut recorder = Recorder::default();
        for n in 0..SUBJECTS + 10 {
            for m in 0..KEPT_EACH + 2 {
                let at = Timestamp::since_boot(std::time::Duration::from_secs((n * 100 + m) as u64));
                recorder.record(at, subject(n), lifecycle(m));
            }
        }
        assert_eq!(recorder.last().count(), KEPT);
        assert_eq!(recorder.by_subject.len(), SUBJECTS);
        assert!(recorder.about(&subject(0)).is_empty(), "the oldest subject went first");
        let about = recorder.about(&subject(SUBJECTS));
        assert_eq!(about.len(), KEPT_EACH);
        assert_eq!(about.last().map(|d| &d.reason), Some(&lifecycle(KEPT_EACH + 1)));
    }

    #[test]
    fn crashes_do_not_push_out_why_a_pod_has_its_cpus() {
        let mut recorder = Recorder::default();
        recorder.record(Timestamp::default(), subject(0), Reason::IdleClass);
        for n in 0..100 {
            recorder.record(Timestamp::since_boot(std::time::Duration::from_secs(n as u64)), subject(0), lifecycle(n));
        }
        assert_eq!(recorder.about(&subject(0)).first().map(|d| &d.reason), Some(&Reason::IdleClass));
    }

    #[test]
    fn memory_that_is_taken_back_again_and_again_pushes_nothing_out() {
        let mut recorder = Recorder::default();
        for reason in [Reason::IdleClass, lifecycle(1)] {
            recorder.record(Timestamp::default(), subject(0), reason);
        }
        let [asked, allowed, before] = [1, 2, 3].map(Bytes::new);
        let taken = Reason::MemoryTakenBack { asked, before, after: None, allowed, outcome: TakeBackOutcome::Would };
        for n in 0..100 {
            recorder.record(Timestamp::since_boot(std::time::Duration::from_secs(n)), subject(0), taken.clone());
        }
        let about = recorder.about(&subject(0));
        assert_eq!(about.len(), 2 + KEPT_EACH);
        assert!(about.iter().any(|d| d.reason == Reason::IdleClass) && about.iter().any(|d| d.reason == lifecycle(1)), "{about:?}");
        assert_eq!(recorder.counts().get("memory_taken_back"), Some(&100));
        assert_eq!(serde_json::to_value(&taken).unwrap()["kind"], kind(&taken));
    }

    #[test]
    fn the_kind_is_that_of_the_json() {
        for reason in [lifecycle(1), Reason::IdleClass, Reason::AsRequested] {
            assert_eq!(serde_json::to_value(&reason).unwrap()["kind"], kind(&reason));
        }
    }

    #[test]
    fn a_figure_is_recorded_when_it_moves() {
        let mut recorder = Recorder::default();
        let figure = |r: &Reason| if let Reason::Refused { cause } = r { cause.parse().ok().map(|n| (n, String::new())) } else { None };
        for n in [100, 101, 104, 106, 105] {
            recorder.record_figure(Timestamp::default(), Subject::Node, Reason::Refused { cause: n.to_string() }, figure, 100);
        }
        let kept: Vec<String> = recorder.about(&Subject::Node).iter().map(|d| d.reason.to_string()).collect();
        assert_eq!(kept, ["refused: 100", "refused: 106"]);
    }
}
