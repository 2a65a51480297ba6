use gleaner_model::MilliCpu;
use std::time::Duration;

/// What a plot of one node needs: the highest demand and the highest promises of each two minutes, or of each step if that is longer, of two days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    from: u64,
    each: u64,
    points: Vec<Point>,
}

/// One part of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What the others wanted at most; `None` when it was not known in all of it.
    pub demand: Option<MilliCpu>,
    /// The highest promise of each lender, in their order.
    pub promises: Vec<MilliCpu>,
}

const SHORTEST: u64 = 120;
const SECONDS: u64 = 2 * 86_400;

impl Trail {
    /// A trail of the two days from this second on, of a run with such steps.
    #[must_use]
    pub fn new(from: u64, step: u32) -> Self {
        Self { from, each: SHORTEST.max(step.into()), points: Vec::new() }
    }

    /// Its points, with the time of each since the first second of the trail.
    pub fn points(&self) -> impl Iterator<Item = (Duration, &Point)> {
        (0u64..).map(|number| Duration::from_secs(number * self.each)).zip(&self.points)
    }

    /// Notes a step, if it is among its two days. Steps come in order.
    pub(crate) fn step(&mut self, second: u64, demand: Option<MilliCpu>, promises: impl Iterator<Item = MilliCpu>) {
        let Some(passed) = second.checked_sub(self.from).filter(|passed| *passed < SECONDS) else { return };
        let begun = u64::try_from(self.points.len()).unwrap_or(u64::MAX);
        match self.points.last_mut().filter(|_| passed / self.each < begun) {
            Some(point) => {
                point.demand = point.demand.zip(demand).map(|(highest, demand)| highest.max(demand));
                point.promises.iter_mut().zip(promises).for_each(|(highest, promise)| *highest = promise.max(*highest));
            }
            None => self.points.push(Point { demand, promises: promises.collect() }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn two_minutes_are_one_point_with_the_highest_of_each_and_two_days_are_all() {
        let mut trail = Trail::new(10, 1);
        for second in 0..SECONDS + 100 {
            let demand = (second != 500).then_some(MilliCpu::new(second % 100));
            trail.step(second, demand, [MilliCpu::new(second), MilliCpu::new(7)].into_iter());
        }
        let points: Vec<_> = trail.points().collect();
        assert_eq!(points.len(), 1440);
        let expected = Point { demand: Some(MilliCpu::new(99)), promises: vec![MilliCpu::new(249), MilliCpu::new(7)] };
        assert_eq!(points[1], (Duration::from_secs(120), &expected));
        assert_eq!(points[4].1.demand, None, "second 500 is in it");
    }

    #[test]
    fn a_longer_step_is_a_point_of_its_own() {
        let mut trail = Trail::new(0, 300);
        (0..4).for_each(|step| trail.step(step * 300, Some(MilliCpu::new(step)), std::iter::empty()));
        let told: Vec<_> = trail.points().map(|(at, point)| (at.as_secs(), point.demand.map(MilliCpu::get))).collect();
        assert_eq!(told, [(0, Some(0)), (300, Some(1)), (600, Some(2)), (900, Some(3))]);
    }
}
