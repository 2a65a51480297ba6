use gleaner_model::Timestamp;
use std::time::Duration;

/// What is not read at every sample: in between, the last readings stand, with the time at which they were made.
#[derive(Debug)]
pub(crate) struct Seldom<T> {
    every: Duration,
    held: Option<(Timestamp, T)>,
}

impl<T: Clone> Seldom<T> {
    /// Nothing was read yet. Samples are on a grid, but not to the millisecond: `every` should lie between two of its points.
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, held: None }
    }

    /// What was read last, or what `read` says when that is as old as it may be.
    pub(crate) fn get(&mut self, at: Timestamp, read: impl FnOnce() -> T) -> T {
        match &self.held {
            Some((since, value)) if at.since(*since) < self.every => value.clone(),
            _ => {
                let value = read();
                self.held = Some((at, value.clone()));
                value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_again_only_when_it_is_old() {
        let mut seldom = Seldom::new(Duration::from_millis(1500));
        let reads: Vec<u64> = [0, 1000, 1400, 1990, 3000, 3495, 60_000]
            .map(|millis| seldom.get(Timestamp::since_boot(Duration::from_millis(millis)), || millis))
            .to_vec();
        assert_eq!(reads, [0, 0, 0, 1990, 1990, 3495, 60_000]);
    }
}
