use super::Part;
use crate::lender::Machine;
use gleaner_model::MilliCpu;
use std::collections::VecDeque;

/// What somebody would lend who knows the demand of the steps to come.
///
/// Every step waits until its horizon has passed. Steps that wait and whose highest demand so far is the same are one entry; a new step's demand is the highest of all
/// entries that are lower, which become one. So there are never more entries than steps in the horizon, nor than different values of demand.
#[derive(Debug, Clone)]
pub struct Clairvoyant {
    machine: Machine,
    step: u64,
    /// Steps that are looked at, the present one included; `None`: until [`Self::settle`].
    horizon: Option<usize>,
    waiting: VecDeque<Waiting>,
    /// To which part each waiting step counts, the oldest first; not kept without a horizon.
    parts: VecDeque<Option<Part>>,
    lent: [u64; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    peak: MilliCpu,
    /// How many steps count to the warm-up, to the scored part, to none.
    steps: [u64; 3],
}

impl Waiting {
    fn of(part: Option<Part>, steps: &mut [u64; 3]) -> &mut u64 {
        let [warm_up, scored, none] = steps;
        match part {
            Some(Part::WarmUp) => warm_up,
            Some(Part::Scored) => scored,
            None => none,
        }
    }
}

impl Clairvoyant {
    /// Knows the demand of so many steps, the present one included, each of so many seconds. Without a horizon it knows all until [`Self::settle`].
    #[must_use]
    pub fn new(machine: Machine, step: u64, horizon: Option<usize>) -> Self {
        let horizon = horizon.map(|steps| steps.max(1));
        Self { machine, step, horizon, waiting: VecDeque::new(), parts: VecDeque::new(), lent: [0; 2] }
    }

    /// Takes the next step. One whose demand is not known counts to no part and is no peak.
    #[inline]
    pub fn step(&mut self, demand: Option<MilliCpu>, part: Part) {
        let part = demand.map(|_| part);
        let mut new = Waiting { peak: demand.unwrap_or_default(), steps: [0; 3] };
        *Waiting::of(part, &mut new.steps) += 1;
        while let Some(lower) = self.waiting.pop_back_if(|waiting| waiting.peak <= new.peak) {
            new.steps.iter_mut().zip(lower.steps).for_each(|(sum, steps)| *sum += steps);
        }
        self.waiting.push_back(new);
        let Some(horizon) = self.horizon else { return };
        self.parts.push_back(part);
        if self.parts.len() >= horizon {
            self.settle_oldest();
        }
    }

    fn settle_oldest(&mut self) {
        let (Some(part), Some(oldest)) = (self.parts.pop_front(), self.waiting.front_mut()) else { return };
        let of_part = Waiting::of(part, &mut oldest.steps);
        *of_part = of_part.saturating_sub(1);
        let free = self.machine.free(oldest.peak).get() * self.step;
        let empty = oldest.steps == [0; 3];
        self.count(part, free);
        if empty {
            self.waiting.pop_front();
        }
    }

    fn count(&mut self, part: Option<Part>, free: u64) {
        let [warm_up, scored] = &mut self.lent;
        match part {
            Some(Part::WarmUp) => *warm_up += free,
            Some(Part::Scored) => *scored += free,
            None => {}
        }
    }

    /// Settles all steps that wait, with a demand of at least `peak` still to come.
    pub fn settle(&mut self, peak: MilliCpu) {
        while let Some(Waiting { peak: highest, steps: [warm_up, scored, _] }) = self.waiting.pop_front() {
            let free = self.machine.free(highest.max(peak)).get() * self.step;
            self.count(Some(Part::WarmUp), free * warm_up);
            self.count(Some(Part::Scored), free * scored);
        }
        self.parts.clear();
    }

    /// What it lent in this part, in thousandths of a CPU for one second. Steps that wait are not in it.
    #[must_use]
    pub fn lent(&self, part: Part) -> u64 {
        let [warm_up, scored] = self.lent;
        if part == Part::WarmUp { warm_up } else { scored }
    }
}
