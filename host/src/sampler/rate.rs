//! Growth of counters between samples.

use gleaner_model::{Absence, MilliCpu, Permille, Timestamp};
use std::time::Duration;

/// An interval is not shorter than this, unless there was none before it: the kernel adds up CPU time at its timer tick (1 to 10 ms),
/// so that shorter intervals, as between a periodic sample and one that pressure asked for, would say more about ticks than about use.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Point<T> {
    at: Timestamp,
    counters: T,
}

/// The samples of a counter, or of counters read together, that later ones are compared to.
#[derive(Debug)]
pub(crate) struct Rate<T> {
    older: Option<Point<T>>,
    newer: Option<Point<T>>,
}

impl<T> Default for Rate<T> {
    fn default() -> Self {
        Self { older: None, newer: None }
    }
}

impl<T> Rate<T> {
    /// What `growth` says of the previous counters and these, and the time between them. Not yet known after the first sample, and
    /// after a counter went backwards (`growth` is `None`): then the cgroup was made anew and counting restarts.
    pub(crate) fn advance<G>(
        &mut self,
        at: Timestamp,
        counters: T,
        growth: impl Fn(&T, &T) -> Option<G>,
    ) -> Result<(G, Duration), Absence> {
        let far = |base: &&Point<T>| at.since(base.at) >= SHORTEST;
        let newer_is_far = self.newer.as_ref().filter(far).is_some();
        let Some(base) = self.newer.as_ref().filter(far).or(self.older.as_ref().filter(far)) else {
            // The second sample of all came too early: it is passed over, and the first stays the base.
            if self.newer.as_ref().is_none_or(|newer| growth(&newer.counters, &counters).is_none()) {
                self.restart(at, counters);
            }
            return Err(Absence::NotYet);
        };
        let over = at.since(base.at);
        let Some(grown) = growth(&base.counters, &counters) else {
            self.restart(at, counters);
            return Err(Absence::NotYet);
        };
        if newer_is_far {
            self.older = self.newer.replace(Point { at, counters });
        }
        Ok((grown, over))
    }

    /// Begins anew: the next sample is the first.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn restart(&mut self, at: Timestamp, counters: T) {
        *self = Self { older: None, newer: Some(Point { at, counters }) };
    }
}

/// CPU time used per time.
pub(crate) fn milli_cpu(used: Duration, over: Duration) -> MilliCpu {
    let value = used.as_nanos().saturating_mul(1000).checked_div(over.as_nanos()).unwrap_or(0);
    MilliCpu::new(u64::try_from(value).unwrap_or(u64::MAX))
}

/// The part of a span in which something held; never more than all of it, although counter and clock are not read at one moment.
pub(crate) fn share_of(part: Duration, over: Duration) -> Permille {
    ratio_of(part, over).min(Permille::new(1000))
}

/// A time summed over several, over a span; more than all of it when it ran for several at once.
pub(crate) fn ratio_of(sum: Duration, over: Duration) -> Permille {
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Permille::of(micros(sum), micros(over)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::since_boot(Duration::from_millis(millis))
    }

    fn feed(rate: &mut Rate<u64>, millis: u64, counter: u64) -> Result<(u64, u128), Absence> {
        rate.advance(at(millis), counter, |old, new| new.checked_sub(*old)).map(|(grown, over)| (grown, over.as_millis()))
    }

    #[test]
    fn growth_is_known_from_the_second_sample_on() {
        let mut rate = Rate::default();
        assert_eq!(feed(&mut rate, 0, 10), Err(Absence::NotYet));
        assert_eq!(feed(&mut rate, 1000, 25), Ok((15, 1000)));
        assert_eq!(feed(&mut rate, 3000, 25), Ok((0, 2000)));
    }

    #[test]
    fn a_counter_that_went_backwards_starts_anew() {
        let mut rate = Rate::default();
        let _ = feed(&mut rate, 0, 10);
        assert_eq!(feed(&mut rate, 1000, 9), Err(Absence::NotYet));
        assert_eq!(feed(&mut rate, 2000, 11), Ok((2, 1000)));
        rate.forget();
        assert_eq!(feed(&mut rate, 3000, 12), Err(Absence::NotYet));
        // Backwards at once, too.
        assert_eq!(feed(&mut rate, 3001, 2), Err(Absence::NotYet));
        assert_eq!(feed(&mut rate, 4001, 7), Ok((5, 1000)));
    }

    #[test]
    fn a_sample_soon_after_another_is_compared_to_the_one_before() {
        let mut rate = Rate::default();
        let _ = feed(&mut rate, 0, 0);
        assert_eq!(feed(&mut rate, 20, 20), Err(Absence::NotYet));
        assert_eq!(feed(&mut rate, 1000, 100), Ok((100, 1000)));
        assert_eq!(feed(&mut rate, 1050, 150), Ok((150, 1050)));
        assert_eq!(feed(&mut rate, 2000, 300), Ok((200, 1000)));
    }

    #[test]
    fn shares_and_rates_do_not_divide_by_zero_nor_exceed_the_whole() {
        let second = Duration::from_secs(1);
        assert_eq!(milli_cpu(second * 3, second * 2), MilliCpu::new(1500));
        assert_eq!(milli_cpu(second, Duration::ZERO), MilliCpu::ZERO);
        assert_eq!(milli_cpu(Duration::MAX, Duration::from_nanos(1)), MilliCpu::new(u64::MAX));
        assert_eq!(share_of(second / 4, second), Permille::new(250));
        assert_eq!(share_of(second * 2, second), Permille::new(1000));
        assert_eq!(share_of(second, Duration::ZERO), Permille::new(0));
        assert_eq!(ratio_of(second * 5, second * 2), Permille::new(2500));
        assert_eq!(ratio_of(Duration::MAX, Duration::from_micros(1)), Permille::new(u32::MAX));
    }
}
