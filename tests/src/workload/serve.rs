//! A service and its clients in one process: requests arrive on a fixed schedule whether or not the service keeps up (an open loop),
//! and latency counts from the time on the schedule, so that waiting in line is in it.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::clock::{burn, sleep_until, thread_cpu, wall};
use super::quantile::Latencies;
use super::say;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Requests per second
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// CPU time of one request, in microseconds
    #[arg(long, value_name = "U")]
    work_us: u64,
    /// Ends after this many seconds, once all requests are answered [default: never]
    #[arg(long, value_name = "S")]
    seconds: Option<u32>,
}

/// Serves, with a line for each second and, when it has an end, one for all.
pub(super) fn run(options: &Options) -> io::Result<()> {
    let start = wall()?;
    let (requests, arrivals) = channel();
    thread::scope(|scope| {
        let clients = scope.spawn(|| generate(options, start, requests));
        let served = answer(Duration::from_micros(options.work_us), start, &arrivals);
        // Without its receiver the generator ends at its next request.
        drop(arrivals);
        let generated = clients.join().unwrap_or_else(|_| Err(io::Error::other("the generator panicked")));
        served.and(generated)
    })
}

/// When the request of this number is due, after the start.
fn due(number: u64, rate: u32) -> Duration {
    let nanos = u128::from(number) * SECOND.as_nanos() / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn generate(options: &Options, start: Duration, requests: Sender<Duration>) -> io::Result<()> {
    let count = options.seconds.map(|s| u64::from(s) * u64::from(options.rate));
    for number in 0..count.unwrap_or(u64::MAX) {
        let at = start.saturating_add(due(number, options.rate));
        sleep_until(at)?;
        if requests.send(at).is_err() {
            break;
        }
    }
    Ok(())
}

fn answer(work: Duration, start: Duration, arrivals: &Receiver<Duration>) -> io::Result<()> {
    let mut all = Latencies::default();
    let mut recent = Latencies::default();
    let mut second = start.saturating_add(SECOND);
    loop {
        let arrived = arrivals.recv_timeout(second.saturating_sub(wall()?));
        if let Ok(due) = arrived {
            burn(thread_cpu()?.saturating_add(work), None)?;
            recent.add(wall()?.saturating_sub(due));
        }
        let ended = arrived == Err(RecvTimeoutError::Disconnected);
        if ended || wall()? >= second {
            // The last, partial second may be empty; in between an empty second is news.
            if !ended || recent.quantile(1000).is_some() {
                say(&recent.line())?;
            }
            all.merge(&std::mem::take(&mut recent));
            // One line for each second that passed would say nothing of a stalled second: the line after it covers it.
            while second <= wall()? {
                second = second.saturating_add(SECOND);
            }
        }
        if ended {
            return say(&format!("total {}", all.line()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_does_not_drift() {
        assert_eq!(due(0, 3), Duration::ZERO);
        assert_eq!(due(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(due(3_000_000, 3), Duration::from_secs(1_000_000));
    }
}
