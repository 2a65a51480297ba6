//! The controller against regions that answer to it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "tests")]

use super::*;
use crate::history::RegionHistory;
use std::collections::VecDeque;

const TARGET: f64 = 0.2;

/// A region whose pressure falls when it has more CPUs: `0.6 x (has / uses x 0.9)^-steepness`, seen late and through an average.
struct Plant {
    uses: f64,
    steepness: f64,
    /// How many ticks pass before what is given has effect.
    delay: usize,
    /// Time constant in ticks of what the kernel averages.
    average: f64,
    given: VecDeque<f64>,
    pressure: f64,
}

impl Plant {
    fn new(steepness: f64, delay: usize, average: f64) -> Self {
        Self { uses: 4000.0, steepness, delay, average, given: VecDeque::new(), pressure: 0.0 }
    }

    /// Gives the region this much and says what its pressure is shown to be.
    fn give(&mut self, cpu: u64) -> f64 {
        self.given.push_back(cpu as f64);
        let late = self.given.len().saturating_sub(self.delay + 1);
        self.given.drain(..late);
        let has = self.given.front().copied().unwrap();
        let pressure = (0.6 * (has / self.uses * 0.9).powf(-self.steepness)).min(1.0);
        self.pressure += (pressure - self.pressure) / self.average.max(1.0);
        self.pressure
    }
}

struct Run {
    asked: Vec<u64>,
    pressure: Vec<f64>,
}

/// One tick a second for so long, with `change` done to the plant before each, from an empty state.
fn run(plant: &mut Plant, seconds: u64, capacity: u64, mut change: impl FnMut(u64, &mut Plant)) -> Run {
    let (mut state, mut held) = (FeedbackState::default(), None);
    let mut run = Run { asked: Vec::new(), pressure: Vec::new() };
    let history = RegionHistory::default();
    for second in 0..seconds {
        change(second, plant);
        let wanted = (plant.uses * 1.1) as u64;
        let pressure = plant.give(held.unwrap_or(wanted));
        let indicators =
            [Indicator { name: "cpu_pressure".to_owned(), current: (pressure * 1000.0) as u64, target: (TARGET * 1000.0) as u64 }];
        let evidence = Evidence {
            now: Timestamp::since_boot(Duration::from_secs(second)),
            wall: None,
            capacity: MilliCpu::new(capacity),
            requested: MilliCpu::new(capacity),
            members: &[],
            usage: MilliCpu::new(plant.uses as u64),
            wanted: MilliCpu::new(wanted),
            history: &history,
            indicators: &indicators,
            held: held.map(MilliCpu::new),
        };
        let (requirement, next) = feedback(&evidence, &FeedbackSettings::default(), &state);
        state = next;
        held = requirement.map(|requirement| requirement.cpu.get());
        run.asked.push(held.unwrap());
        run.pressure.push(pressure);
    }
    run
}

/// How often the figure turned round, moves of less than a hundredth of it left out.
fn turns(asked: &[u64]) -> usize {
    let (mut turns, mut up, mut extreme) = (0, None, asked[0]);
    for cpu in asked {
        let rose = *cpu > extreme + extreme / 100;
        let fell = *cpu + extreme / 100 < extreme;
        if rose || fell {
            turns += usize::from(up.is_some_and(|up| up != rose));
            (up, extreme) = (Some(rose), *cpu);
        } else if up == Some(true) {
            extreme = extreme.max(*cpu);
        } else if up == Some(false) {
            extreme = extreme.min(*cpu);
        }
    }
    turns
}

#[test]
fn it_settles_whatever_the_delay_and_the_steepness() {
    for steepness in [2.0, 4.0, 8.0, 16.0] {
        for (delay, average) in [(0, 1.0), (1, 10.0), (5, 1.0), (10, 10.0), (20, 10.0)] {
            let run = run(&mut Plant::new(steepness, delay, average), 3600, 16_000, |_, _| {});
            let what = format!("steepness {steepness}, delay {delay}, average {average}");
            let settled = &run.asked[1800..];
            let (least, most) = (settled.iter().min().unwrap(), settled.iter().max().unwrap());
            assert!(most - least <= least / 50, "{what}: between {least} and {most}");
            let last = *run.pressure.last().unwrap();
            assert!(last <= TARGET * 1.06 || *least >= 7990, "{what}: pressure {last}");
            assert!(turns(&run.asked) <= 3, "{what}: {} turns", turns(&run.asked));
        }
    }
}

#[test]
fn a_target_missed_by_far_is_met_within_a_minute_and_not_overshot_by_much() {
    for (delay, average) in [(1, 1.0), (5, 10.0), (10, 10.0)] {
        let run = run(&mut Plant::new(4.0, delay, average), 600, 16_000, |_, _| {});
        let met = run.pressure.iter().rposition(|pressure| *pressure > TARGET * 1.1).unwrap();
        assert!(met < 60, "delay {delay}: still missed after {met} s");
        // What meets the target: (0.6 / 0.2)^(1/4) / 0.9 of what is used.
        let needed = 4000.0 * 3.0_f64.powf(0.25) / 0.9;
        let most = *run.asked.iter().max().unwrap() as f64;
        assert!(most < needed * 1.4, "delay {delay}: {most} where {needed} is enough");
    }
}

#[test]
fn a_load_that_doubles_and_halves_is_followed_with_what_was_learned() {
    let mut plant = Plant::new(4.0, 2, 10.0);
    let run = run(&mut plant, 3000, 16_000, |second, plant| plant.uses = if (1000..2000).contains(&second) { 8000.0 } else { 4000.0 });
    let (before, peak, after) = (run.asked[999], run.asked[1400], run.asked[2999]);
    assert!(peak.abs_diff(before * 2) < before * 2 / 5, "{before} before, {peak} at twice the load");
    assert!(after.abs_diff(before) < before / 10, "{before} before, {after} after");
    let missed = run.pressure[1020..2000].iter().filter(|pressure| **pressure > TARGET * 1.1).count();
    assert!(missed < 30, "missed for {missed} s at twice the load");
}

#[test]
fn after_long_saturation_it_recovers_as_soon_as_there_is_room() {
    // For 1000 s no size helps; then the region is at ease with what it wants.
    let mut plant = Plant::new(4.0, 2, 10.0);
    let run = run(&mut plant, 3000, 6000, |second, plant| plant.steepness = if second < 1000 { 0.0 } else { 60.0 });
    assert_eq!(run.asked[999], 6000, "at the capacity");
    let falls = run.asked.iter().rposition(|cpu| *cpu == 6000).unwrap();
    assert!(falls < 1000 + 160, "still at the capacity after {} s", falls - 1000);
    assert!(run.asked[1700] < 5200, "700 s later: {}", run.asked[1700]);
}

#[test]
fn even_a_cliff_is_found_seldom() {
    // Pressure jumps between nothing and far too much within 2% of the size: each finding costs a miss, so there must be few.
    let run = run(&mut Plant::new(150.0, 2, 10.0), 7200, 16_000, |_, plant| plant.uses = 5000.0);
    let missed = run.pressure.iter().filter(|pressure| **pressure > TARGET * 1.1).count();
    assert!(missed < 7200 / 20, "missed in {missed} of 7200 s");
    assert!(turns(&run.asked) < 60, "{} turns in two hours", turns(&run.asked));
}
