//! In which order the kernel kills when memory runs out.
//!
//! A pod may wish for a place with `oom_priority` (Katalyst's scale, a higher number is killed later). Katalyst hands it to a program in
//! the kernel; here it becomes `oom_score_adj`, which every kernel has.

use gleaner_model::{KubeQos, OomScoreAdj, Pod, PodUid, QosClass};
use std::collections::BTreeMap;

/// A wish to be passed over: the value that Katalyst documents as "ignore".
const IGNORE: i32 = -300;
/// Killed last; open to every class.
const TOP: i32 = 300;
/// What kubelet gives best-effort pods, which are killed first.
const FIRST: i32 = 1000;
/// What kubelet gives guaranteed pods.
const GUARANTEED: i32 = -997;

/// A place in Katalyst's order, inside the range of a class or at the top. A higher one is killed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OomPriority(i32);

impl OomPriority {
    /// Its number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// What the kernel is told, or `None` where kubelet's own value stays.
    ///
    /// | priority | who | `oom_score_adj` |
    /// |---|---|---|
    /// | -100 | reclaimed, unless it wishes otherwise | 1000 |
    /// | -99 to -1 | reclaimed | 999 |
    /// | 0 | shared, unless it wishes otherwise | kubelet's |
    /// | 1 to 99 | shared | 1 down to -97 |
    /// | 100 to 199 | dedicated | -977 down to -986, ten priorities a step |
    /// | 200 to 299 | system | -987 down to -996 |
    /// | 300 | the top | -997 |
    ///
    /// A higher priority never has a higher score. Kubelet gives burstable pods 2 to 999, by their share of the node's memory, and most
    /// of them near 999. So reclaimed pods have little room above them, and a shared pod that wishes to live longer comes below all
    /// burstable ones. Nothing is below -997, which kubelet gives guaranteed pods, and nothing is unkillable.
    #[must_use]
    pub fn score(self) -> Option<OomScoreAdj> {
        let score = match self.0 {
            ..=-100 => FIRST,
            -99..=-1 => FIRST - 1,
            0 => return None,
            1..=99 => 2 - self.0,
            100..=299 => -977 - (self.0 - 100) / 10,
            300.. => GUARANTEED,
        };
        OomScoreAdj::new(score)
    }
}

/// The place of a pod of this class (`None`: unknown, treated as reclaimed) that wishes for this priority.
///
/// Katalyst's rule: no wish is the lowest of the class's range (reclaimed -100, shared 0, dedicated 100, system 200), any other wish is
/// brought into that range, 300 is the top for every class. `None` is the answer to -300, which asks to be left alone; Katalyst documents
/// this value, but brings it into the class's range like any other.
#[must_use]
pub fn oom_priority(class: Option<QosClass>, wished: Option<i32>) -> Option<OomPriority> {
    let lowest = match class {
        None | Some(QosClass::Reclaimed) => -100,
        Some(QosClass::Shared) => 0,
        Some(QosClass::Dedicated) => 100,
        Some(QosClass::System) => 200,
    };
    match wished {
        None => Some(OomPriority(lowest)),
        Some(IGNORE) => None,
        Some(TOP) => Some(OomPriority(TOP)),
        Some(wished) => Some(OomPriority(wished.clamp(lowest, lowest + 99))),
    }
}

/// What the kernel is told of each pod. Reclaimed pods come first of all. Of the others only a pod that wishes for a place has one; a
/// guaranteed pod keeps kubelet's, which is better than any wish.
#[must_use]
pub fn oom_scores(pods: &BTreeMap<PodUid, Pod>) -> BTreeMap<PodUid, OomScoreAdj> {
    let has_place = |pod: &Pod| match pod.class() {
        QosClass::Reclaimed => true,
        _ => pod.qos.memory.oom_priority.is_some() && pod.kube_qos != KubeQos::Guaranteed,
    };
    let score = |pod: &Pod| oom_priority(Some(pod.class()), pod.qos.memory.oom_priority)?.score();
    pods.iter().filter(|(_, pod)| has_place(pod)).filter_map(|(uid, pod)| Some((uid.clone(), score(pod)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Vec<(i32, i32)> {
        let all = (-100..=300).map(OomPriority).filter_map(|p| p.score().map(|score| (p.get(), score.get())));
        all.collect()
    }

    #[test]
    fn a_higher_priority_never_has_a_higher_score() {
        let scores = scores();
        assert_eq!(scores.len(), 400, "all priorities but 0 have a score");
        for pair in scores.windows(2) {
            assert!(pair[0].1 >= pair[1].1, "priority and score {:?}, then {:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn nothing_is_protected_more_than_a_guaranteed_pod() {
        for (priority, score) in scores() {
            assert!((-997..=1000).contains(&score), "priority {priority} has {score}");
        }
    }

    #[test]
    fn reclaimed_pods_come_before_what_kubelet_gives_burstable_ones_and_wishes_of_others_after() {
        for (priority, score) in scores() {
            assert_eq!(priority < 0, score >= 999, "priority {priority} has {score}");
            assert_eq!(priority > 0, score < 2, "priority {priority} has {score}");
        }
    }

    #[test]
    fn the_ends_of_each_range_are_as_documented() {
        let expected =
            [(-100, 1000), (-99, 999), (-1, 999), (1, 1), (99, -97), (100, -977), (199, -986), (200, -987), (299, -996), (300, -997)];
        for (priority, score) in expected {
            assert_eq!(OomPriority(priority).score(), OomScoreAdj::new(score), "priority {priority}");
        }
    }

    #[test]
    fn a_shared_pod_without_a_wish_keeps_kubelets_value() {
        let place = oom_priority(Some(QosClass::Shared), None);
        assert_eq!(place, Some(OomPriority(0)));
        assert_eq!(place.and_then(OomPriority::score), None);
    }

    #[test]
    fn the_wish_to_be_ignored_is_heard() {
        for class in QosClass::ALL {
            assert_eq!(oom_priority(Some(class), Some(-300)), None, "{class}");
        }
    }

    #[test]
    fn a_wish_is_brought_into_the_range_of_the_class() {
        for (class, lowest) in QosClass::ALL.into_iter().zip([-100, 0, 100, 200]) {
            for (wished, place) in [(i32::MIN, lowest), (-299, lowest), (lowest + 7, lowest + 7), (i32::MAX, lowest + 99), (300, 300)] {
                assert_eq!(oom_priority(Some(class), Some(wished)), Some(OomPriority(place)), "{class} wishes {wished}");
            }
        }
    }

    #[test]
    fn a_score_that_the_kernel_would_refuse_is_none() {
        for (value, held) in [(-1001, false), (-1000, true), (1000, true), (1001, false)] {
            assert_eq!(OomScoreAdj::new(value).is_some(), held, "{value}");
            assert_eq!(serde_json::from_str::<OomScoreAdj>(&value.to_string()).is_ok(), held, "{value}");
        }
    }
}
