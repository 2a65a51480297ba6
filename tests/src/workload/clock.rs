//! Clocks, and burning CPU by them.

use std::hint::black_box;
use std::io;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot.
pub(super) fn wall() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}

/// CPU time that the calling thread has used. Time spent waiting for a CPU is not in it, which is what keeps a load honest on a
/// contended or throttled CPU.
pub(super) fn thread_cpu() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?))
}

/// Uses the CPU until the calling thread has used `until` in all, or the wall clock says `deadline`.
pub(super) fn burn(until: Duration, deadline: Option<Duration>) -> io::Result<()> {
    while thread_cpu()? < until {
        if let Some(deadline) = deadline
            && wall()? >= deadline
        {
            break;
        }
        // A few microseconds between looks at the clock: most of the time goes to user code, and the overshoot stays small.
        let mut x = 0_u64;
        for i in 0..2_000_u64 {
            x = black_box(x.wrapping_mul(31).wrapping_add(i));
        }
    }
    Ok(())
}

/// Sleeps until the wall clock says `deadline`; returns at once when it is past.
pub(super) fn sleep_until(deadline: Duration) -> io::Result<()> {
    thread::sleep(deadline.saturating_sub(wall()?));
    Ok(())
}

/// Runs the same load on several threads, and ends with the first error or with the last thread.
pub(super) fn on_threads<F>(threads: u32, load: F) -> io::Result<()>
where
    F: Fn() -> io::Result<()> + Sync,
{
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(&load)).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| Err(io::Error::other("a load thread panicked"))))
    })
}
