use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// The first pause.
pub(super) const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double. Up to a quarter of each is taken off, by our place among the plugins and the count: the same for us each time, another for others.
#[derive(Debug)]
pub(super) struct Backoff {
    place: String,
    count: u32,
}

impl Backoff {
    pub(super) fn new(place: &str) -> Self {
        Self { place: place.to_owned(), count: 0 }
    }

    pub(super) const fn begin_anew(&mut self) {
        self.count = 0;
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.count)).min(LONGEST);
        let mut hasher = DefaultHasher::new();
        hasher.write(self.place.as_bytes());
        hasher.write_u32(self.count);
        self.count = self.count.saturating_add(1);
        let share = u32::try_from(hasher.finish() % 256).unwrap_or(0);
        pause.saturating_sub((pause / 1024).saturating_mul(share))
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST, LONGEST};

    #[test]
    fn pauses_double_up_to_the_longest_and_lose_a_quarter_at_most() {
        let (mut backoff, mut full) = (Backoff::new("10"), FIRST);
        for count in 0..40 {
            let pause = backoff.next();
            assert!(pause <= full && pause >= full.mul_f64(0.74), "pause {count} is {pause:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        backoff.begin_anew();
        assert!(backoff.next() <= FIRST, "after a good connection it begins anew");
    }

    #[test]
    fn plugins_at_other_places_wait_otherwise() {
        let pauses = |place| {
            let mut backoff = Backoff::new(place);
            (0..10).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(pauses("10"), pauses("10"), "the same each time");
        assert_ne!(pauses("10"), pauses("11"), "another for others");
    }
}
