use super::Rules;
use gleaner_model::MilliCpu;

/// Reclaimed pods of one CPU each that fill what is promised.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reclaimed {
    running: u64,
    /// For how many seconds the promise has been less than what runs.
    short: u64,
    /// For how many seconds it has had room for more.
    roomy: u64,
    /// How many had room in all of that time.
    fitting: u64,
}

impl Reclaimed {
    /// How many are evicted in this step.
    #[inline]
    pub(super) fn step(&mut self, promise: MilliCpu, rules: &Rules) -> u64 {
        let fitting = promise.get() / 1000;
        if fitting > self.running {
            self.fitting = if self.roomy == 0 { fitting } else { self.fitting.min(fitting) };
            self.roomy += rules.step;
            if self.roomy >= rules.start_after {
                (self.running, self.roomy) = (self.fitting, 0);
            }
        } else {
            self.roomy = 0;
        }
        self.short = if fitting < self.running { self.short + rules.step } else { 0 };
        if self.short <= rules.evict_after {
            return 0;
        }
        let evicted = self.running - fitting;
        (self.running, self.short) = (fitting, 0);
        evicted
    }
}
