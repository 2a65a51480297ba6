//! A thread that samples in a fixed period.

use crate::sampler::{Sample, SamplerCore, Target};
use crate::{HostError, clock};
use gleaner_model::Timestamp;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// No shorter period is accepted: it would measure the kernel's timer tick.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Control {
    Targets(Vec<Target>),
    SampleNow,
    SampleBy(Timestamp),
}

/// Samples on its own thread until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    // Taken away to stop the thread.
    control: Option<Sender<Control>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Samples at once and then in this period, without drift, and gives every sample to `deliver` on the sampler's thread. When a sample
    /// or `deliver` takes longer than the period, the periods missed are passed over.
    ///
    /// # Errors
    /// When the period is shorter than 100 ms, or there is no thread to be had.
    pub fn start(core: SamplerCore, period: Duration, deliver: impl FnMut(Sample) + Send + 'static) -> Result<Self, HostError> {
        let failed = |cause: String| HostError::Library { what: "start the sampling thread", cause };
        if period < SHORTEST {
            return Err(failed(format!("a period of {period:?} is shorter than {SHORTEST:?}")));
        }
        let (control, orders) = channel();
        let thread = std::thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || run(core, period, &orders, deliver))
            .map_err(|cause| failed(cause.to_string()))?;
        Ok(Self { control: Some(control), thread: Some(thread) })
    }

    /// What is sampled from the next sample on.
    pub fn set_targets(&self, targets: Vec<Target>) {
        self.order(Control::Targets(targets));
    }

    /// Takes a sample now, beside the periodic ones. Several such wishes that are waiting at one time are met by one sample.
    pub fn sample_now(&self) {
        self.order(Control::SampleNow);
    }

    /// Takes a sample within this time. Wishes that come until then are met by the same sample, so that a row of them costs no more than one.
    pub fn sample_within(&self, time: Duration) {
        self.order(Control::SampleBy(clock::now().after(time)));
    }

    fn order(&self, order: Control) {
        if let Some(control) = &self.control {
            // It can only fail when `deliver` panicked and took the thread with it; then samples stop and readings grow old, which is seen.
            let _ = control.send(order);
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.control.take());
        if let Some(thread) = self.thread.take() {
            // A sampler that is dropped by what it delivers to must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn run(mut core: SamplerCore, period: Duration, orders: &Receiver<Control>, mut deliver: impl FnMut(Sample)) {
    let mut due = clock::now();
    let mut wished: Option<Timestamp> = None;
    loop {
        let next = wished.map_or(due, |wished| wished.min(due));
        match orders.recv_timeout(next.since(clock::now())) {
            Ok(order) => {
                if follow(&mut core, std::iter::once(order).chain(orders.try_iter()), &mut wished) {
                    deliver(core.take(clock::now()));
                    wished = None;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                deliver(core.take(clock::now()));
                wished = None;
                if next == due {
                    due = next_due(due, period, clock::now());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Takes over the last targets ordered and says whether a sample was ordered for now; `wished` is when the first of those for later is due.
fn follow(core: &mut SamplerCore, orders: impl Iterator<Item = Control>, wished: &mut Option<Timestamp>) -> bool {
    let (mut targets, mut wanted) = (None, false);
    for order in orders {
        match order {
            Control::Targets(latest) => targets = Some(latest),
            Control::SampleNow => wanted = true,
            Control::SampleBy(time) => *wished = Some(wished.map_or(time, |wished| wished.min(time))),
        }
    }
    if let Some(targets) = targets {
        core.set_targets(targets);
    }
    wanted
}

/// The first moment after `now` that is a whole number of periods after `due`.
fn next_due(due: Timestamp, period: Duration, now: Timestamp) -> Timestamp {
    let missed = now.since(due).as_nanos().checked_div(period.as_nanos()).unwrap_or(0);
    let periods = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
    due.after(period.saturating_mul(periods))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::cgroup::Layout;

    fn at(millis: u64) -> Timestamp {
        Timestamp::since_boot(Duration::from_millis(millis))
    }

    #[test]
    fn samples_stay_on_the_grid_of_periods() {
        let second = Duration::from_secs(1);
        for (due, now, next) in [(5000, 5000, 6000), (5000, 5010, 6000), (5000, 5999, 6000), (5000, 6000, 7000), (5000, 9300, 10000)] {
            assert_eq!(next_due(at(due), second, at(now)), at(next), "due {due}, now {now}");
        }
    }

    #[test]
    fn a_sampler_delivers_at_once_and_on_demand_and_stops_when_dropped() {
        let (send, samples) = channel();
        // Nothing but the first sample is due in this test: the others are on demand.
        let core = SamplerCore::new(Layout::with_v2_root("/no/such/mount"));
        let sampler = Sampler::start(core, Duration::from_secs(3600), move |sample| {
            let _ = send.send(sample);
        })
        .unwrap();
        let first = samples.recv().unwrap();
        let target = Target { pod: "a".parse().unwrap(), container: "b".parse().unwrap(), cgroup: "/none".parse().unwrap() };
        sampler.set_targets(vec![target.clone()]);
        sampler.sample_now();
        let second = samples.recv().unwrap();
        assert!(first.pods.is_empty() && second.pods.contains_key(&target.pod), "{second:?}");
        drop(sampler);
        assert!(samples.recv().is_err(), "the thread still runs");
    }

    #[test]
    fn wishes_of_one_moment_are_met_by_one_sample_and_not_before_their_time() {
        let (send, samples) = channel();
        let core = SamplerCore::new(Layout::with_v2_root("/no/such/mount"));
        let sampler = Sampler::start(core, Duration::from_secs(3600), move |sample| {
            let _ = send.send(sample);
        })
        .unwrap();
        samples.recv().unwrap();
        let begun = clock::now();
        for _ in 0..10 {
            sampler.sample_within(Duration::from_millis(300));
        }
        let sample = samples.recv().unwrap();
        assert!(sample.at.since(begun) >= Duration::from_millis(300), "after {:?}", sample.at.since(begun));
        drop(sampler);
        assert!(samples.recv().is_err(), "there was a second sample");
    }

    #[test]
    fn a_period_too_short_is_refused() {
        let core = SamplerCore::new(Layout::with_v2_root("/no/such/mount"));
        let error = Sampler::start(core, Duration::ZERO, |_| {}).unwrap_err().to_string();
        assert!(error.contains("shorter than 100ms"), "{error}");
    }
}
