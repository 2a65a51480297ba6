//! CPU use that follows a sine, and CPU use without pause.

use std::f64::consts::TAU;
use std::io;
use std::time::Duration;

use clap::Args;

use super::clock::{burn, on_threads, sleep_until, thread_cpu, wall};

/// One stretch of work and rest. Short against any period that a controller samples, long against a scheduler's time slice.
const SLICE: Duration = Duration::from_millis(20);

/// How far the load may fall behind before it gives up catching up. A load that repaid a long throttling in full would no longer
/// follow its sine once the CPU came back.
const MAX_DEBT: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds from one low tide to the next
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..))]
    period: u32,
    /// Milli-CPU at low tide
    #[arg(long, value_name = "MILLI")]
    low: u32,
    /// Milli-CPU at high tide
    #[arg(long, value_name = "MILLI")]
    high: u32,
    /// Threads that share the load [default: one per 1000 of --high]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct SpinOptions {
    /// Threads, each a whole CPU
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Ends after this many seconds [default: never]
    #[arg(long, value_name = "S")]
    seconds: Option<u32>,
}

/// The share of one CPU that one thread wants, over time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tide {
    period: f64,
    low: f64,
    high: f64,
}

impl Tide {
    /// The tide of each thread, and how many there are.
    fn new(options: &Options) -> Result<(Tide, u32), String> {
        let Options { period, low, high, .. } = *options;
        let threads = options.threads.unwrap_or_else(|| high.div_ceil(1000).max(1));
        if low > high {
            return Err(format!("--low {low} is above --high {high}"));
        }
        if u64::from(high) > u64::from(threads) * 1000 {
            return Err(format!("--high {high} is more than {threads} threads can use"));
        }
        let share = |milli: u32| f64::from(milli) / 1000.0 / f64::from(threads);
        let tide = Tide { period: f64::from(period), low: share(low), high: share(high) };
        Ok((tide, threads))
    }

    /// The wanted share at `t` seconds: `low` at 0, `high` half a period later.
    #[cfg(test)]
    fn share_at(self, t: f64) -> f64 {
        let (mid, swing) = self.mid_and_swing();
        mid - swing * (TAU * t / self.period).cos()
    }

    /// CPU seconds wanted from 0 to `t`: the integral of the share, exact however the slices fall.
    fn wanted_until(self, t: f64) -> f64 {
        let (mid, swing) = self.mid_and_swing();
        mid * t - swing * self.period / TAU * (TAU * t / self.period).sin()
    }

    fn mid_and_swing(self) -> (f64, f64) {
        (f64::midpoint(self.low, self.high), (self.high - self.low) / 2.0)
    }
}

/// Follows the tide until killed.
pub(super) fn run(options: &Options) -> io::Result<()> {
    let (tide, threads) = Tide::new(options).map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
    let start = wall()?;
    on_threads(threads, || follow(tide, start))
}

fn follow(tide: Tide, start: Duration) -> io::Result<()> {
    let before = thread_cpu()?;
    let mut forgiven = Duration::ZERO;
    loop {
        // Slices start at multiples of SLICE when nothing is late, and re-align at the next one when something was.
        let now = wall()?.saturating_sub(start);
        let end = slice_end(now);
        let wanted = Duration::try_from_secs_f64(tide.wanted_until(end.as_secs_f64())).unwrap_or(Duration::ZERO);
        let used = thread_cpu()?.saturating_sub(before);
        let (owed, dropped) = split_debt(wanted, used.saturating_add(forgiven));
        forgiven = forgiven.saturating_add(dropped);
        let deadline = start.saturating_add(end);
        burn(before.saturating_add(used).saturating_add(owed), Some(deadline))?;
        sleep_until(deadline)?;
    }
}

/// The end of the slice that holds `now`, both since the start.
fn slice_end(now: Duration) -> Duration {
    let slice = SLICE.as_nanos();
    let end = (now.as_nanos() / slice + 1) * slice;
    Duration::from_nanos(u64::try_from(end).unwrap_or(u64::MAX))
}

/// What is still to be used, and how much of the debt is given up for good.
fn split_debt(wanted: Duration, used: Duration) -> (Duration, Duration) {
    let debt = wanted.saturating_sub(used);
    let owed = debt.min(MAX_DEBT);
    (owed, debt.saturating_sub(owed))
}

/// Uses whole CPUs, for a time or until killed.
pub(super) fn spin(options: &SpinOptions) -> io::Result<()> {
    let deadline = match options.seconds {
        Some(seconds) => Some(wall()?.saturating_add(Duration::from_secs(u64::from(seconds)))),
        None => None,
    };
    on_threads(options.threads, || burn(Duration::MAX, deadline))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn options(low: u32, high: u32, threads: Option<u32>) -> Options {
        Options { period: 60, low, high, threads }
    }

    #[test]
    fn the_tide_is_low_at_the_start_and_high_half_a_period_later() {
        let (tide, threads) = Tide::new(&options(200, 1800, None)).unwrap();
        assert_eq!(threads, 2, "threads for 1800 milli-CPU");
        for (t, milli) in [(0.0, 200.0), (15.0, 1000.0), (30.0, 1800.0), (60.0, 200.0)] {
            let got = tide.share_at(t) * f64::from(threads) * 1000.0;
            assert!((got - milli).abs() < 1e-6, "at {t} s: {got}, not {milli}");
        }
    }

    #[test]
    fn the_integral_agrees_with_the_sum_of_its_slices() {
        let (tide, _) = Tide::new(&options(100, 900, None)).unwrap();
        let mut sum = 0.0;
        for step in 0..60_000_u32 {
            sum += tide.share_at((f64::from(step) + 0.5) / 1000.0) / 1000.0;
            let t = f64::from(step + 1) / 1000.0;
            let exact = tide.wanted_until(t);
            assert!((sum - exact).abs() < 1e-5, "at {t} s: {sum}, not {exact}");
        }
    }

    #[test]
    fn levels_that_cannot_be_reached_are_refused() {
        let order = Tide::new(&options(500, 400, None)).unwrap_err();
        assert_eq!(order, "--low 500 is above --high 400");
        let narrow = Tide::new(&options(0, 2001, Some(2))).unwrap_err();
        assert_eq!(narrow, "--high 2001 is more than 2 threads can use");
    }

    #[test]
    fn debt_beyond_the_bound_is_forgiven_once() {
        let ms = Duration::from_millis;
        assert_eq!(split_debt(ms(30), ms(10)), (ms(20), ms(0)));
        assert_eq!(split_debt(ms(10), ms(30)), (ms(0), ms(0)));
        let (owed, dropped) = split_debt(ms(5000), ms(1000));
        assert_eq!((owed, dropped), (MAX_DEBT, ms(3900)));
        assert_eq!(split_debt(ms(5000), ms(1000) + dropped), (MAX_DEBT, ms(0)));
    }

    #[test]
    fn a_slice_ends_after_now_and_on_the_grid() {
        let ms = Duration::from_millis;
        for (now, end) in [(0, 20), (19, 20), (20, 40), (50, 60)] {
            assert_eq!(slice_end(ms(now)), ms(end), "now {now} ms");
        }
    }
}
