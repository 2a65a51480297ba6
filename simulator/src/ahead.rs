//! How much the pods that run now will want until each of them ends: Google's peak oracle (Bashir et al., "Take it to the Limit", EuroSys 2021, section 3).

use crate::placing::NodePlan;
use crate::play::{Use, play};
use crate::settings::Settings;
use crate::trace::TraceSet;
use gleaner_model::MilliCpu;

/// Steps in which the same pods run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The first step after it.
    pub(crate) end: u64,
    /// The highest demand after it of all its pods together, as long as each still runs. Pods that come later are not in it.
    pub(crate) peak: MilliCpu,
}

/// All stretches of a node, in order.
pub(crate) fn stretches(set: &TraceSet, plan: &NodePlan, settings: &Settings) -> Vec<Stretch> {
    let mut ahead = Ahead { tenants: Vec::new(), order: Vec::new(), peaks: Vec::new(), began: Vec::new(), stretches: Vec::new() };
    play(set, plan, settings, |step, uses| ahead.step(step, uses));
    ahead.close(u64::MAX);
    ahead.stretches
}

struct Ahead {
    /// The tenant of each slot.
    tenants: Vec<usize>,
    /// Slots with the stretch that their pod came in, the oldest first.
    order: Vec<(usize, usize)>,
    /// Highest demand in the open stretch of the first, the first two, the first three slots of the order, and so on.
    peaks: Vec<u64>,
    /// The stretch that the pod of each slot came in.
    began: Vec<usize>,
    /// Those that are over; their peaks still rise.
    stretches: Vec<Stretch>,
}

impl Ahead {
    fn step(&mut self, step: u64, uses: &[Use]) {
        if self.tenants.len() != uses.len() {
            self.open(uses, 0);
        } else if self.tenants.iter().zip(uses).any(|(tenant, seen)| *tenant != seen.tenant) {
            self.close(step);
            self.open(uses, self.stretches.len());
        }
        let mut sum = 0;
        for ((slot, _), peak) in self.order.iter().zip(&mut self.peaks) {
            sum += uses.get(*slot).and_then(|seen| seen.demand).map_or(0, u64::from);
            *peak = sum.max(*peak);
        }
    }

    fn open(&mut self, uses: &[Use], stretch: usize) {
        self.began.resize(uses.len(), stretch);
        let changed = self.tenants.iter().zip(uses).map(|(tenant, seen)| *tenant != seen.tenant);
        self.began.iter_mut().zip(changed).filter(|(_, changed)| *changed).for_each(|(began, _)| *began = stretch);
        self.tenants = uses.iter().map(|seen| seen.tenant).collect();
        self.order = self.began.iter().copied().enumerate().collect();
        self.order.sort_by_key(|(_, began)| *began);
        self.peaks = vec![0; uses.len()];
    }

    /// Ends the open stretch: what it held of pods of earlier ones is ahead of these.
    fn close(&mut self, end: u64) {
        for (number, stretch) in self.stretches.iter_mut().enumerate() {
            let still = self.order.partition_point(|(_, began)| *began <= number);
            let peak = still.checked_sub(1).and_then(|last| self.peaks.get(last)).copied().unwrap_or(0);
            stretch.peak = stretch.peak.max(MilliCpu::new(peak));
        }
        self.stretches.push(Stretch { end, peak: MilliCpu::ZERO });
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::play::tests::{flat, plan};

    #[test]
    fn pods_that_come_later_do_not_count_and_those_that_end_no_more() {
        // vm0 wants 1, 1, 4, 1 CPUs; vm1 2, 2, 2, 9.
        let set = flat(&[&[10.0, 10.0, 40.0, 10.0].map(Some), &[20.0, 20.0, 20.0, 90.0].map(Some)]);
        // The second slot has vm1 for a row, then vm0, then vm1 again.
        let plan = plan(4, &[(10, &[(0, 4)]), (10, &[(1, 1), (0, 3), (1, 4)])]);
        let found = stretches(&set, &plan, &Settings { step: 10, ..Settings::default() });
        // After the first: vm0 alone, 4 at most. After the second: vm0 alone in its last row, 1.
        let expected = [(1, 4000), (3, 1000), (u64::MAX, 0)].map(|(end, peak)| Stretch { end, peak: MilliCpu::new(peak) });
        assert_eq!(found, expected);
    }

    #[test]
    fn without_ends_there_is_one_stretch() {
        let set = flat(&[&[Some(10.0), None, Some(40.0)]]);
        let found = stretches(&set, &plan(3, &[(10, &[(0, 3)])]), &Settings::default());
        assert_eq!(found, [Stretch { end: u64::MAX, peak: MilliCpu::ZERO }]);
    }
}
