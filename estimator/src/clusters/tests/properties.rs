use super::*;
use proptest::prelude::*;

/// Numbers from a seed, by Knuth's linear congruential generator: whole days of proptest's own values take it seconds.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn any(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 32).unwrap()
    }

    /// Often an ordinary value, often one at an edge.
    fn odd(&mut self) -> u32 {
        match self.any() >> 29 {
            0 => 0,
            1 => 1,
            2 => u32::MAX,
            3 | 4 => self.any() >> 20,
            _ => self.any(),
        }
    }

    /// All hours, some hours, or all the same.
    fn hours(&mut self) -> [Option<u32>; HOURS] {
        match self.any() >> 30 {
            0 => [Some(self.odd()); HOURS],
            1 => std::array::from_fn(|_| (self.any() >> 30 != 0).then(|| self.odd())),
            _ => std::array::from_fn(|_| Some(self.odd())),
        }
    }
}

fn any_day() -> impl Strategy<Value = Day> {
    any::<u64>().prop_map(Numbers).prop_map(|mut numbers| Day { means: numbers.hours(), peaks: numbers.hours() })
}

/// Also such as nobody can learn.
fn any_clusters() -> impl Strategy<Value = Clusters> {
    let cluster = any::<u64>().prop_map(Numbers).prop_map(|mut numbers| Cluster {
        members: numbers.odd(),
        means: std::array::from_fn(|_| numbers.odd()),
        peaks: std::array::from_fn(|_| numbers.odd()),
    });
    prop_oneof![
        prop::collection::vec(cluster, 0..=MOST).prop_map(Clusters),
        prop::collection::vec(any_day(), 0..20).prop_map(|days| Clusters::learn(&days)),
        any::<u64>().prop_map(|seed| Clusters::learn(noisy(seed).iter().map(|(.., day)| day))),
    ]
}

/// Five workloads of each shape with a daily mean of 2000, each hour of which is up to a fifth more or less.
fn noisy(seed: u64) -> Vec<(&'static str, Shape, Day)> {
    let mut numbers = Numbers(seed);
    let twenty = shapes().into_iter().cycle().take(20);
    twenty.map(|(name, shape)| (name, shape, day(&shape.map(|value| value * (800 + numbers.any() % 401) / 1000), 2000))).collect()
}

/// What is told of each hour as a percentage of the peak that the shape has there without noise.
fn told(like: &Like, shape: &Shape) -> Vec<u64> {
    like.hourly_peaks.iter().zip(shape).map(|(told, clean)| told.get() * 100 / (u64::from(*clean) * 2 * 13 / 10)).collect()
}

proptest! {
    /// The end of each test is that it ends: no sum overflows, nothing divides by zero.
    #[test]
    fn any_days_make_at_most_eight_clusters_and_any_order_the_same(
        (days, shuffled) in prop::collection::vec(any_day(), 0..40).prop_flat_map(|days| (Just(days.clone()), Just(days).prop_shuffle())),
        partial in any_day(),
    ) {
        let clusters = Clusters::learn(&days);
        prop_assert!(clusters.0.len() <= MOST, "{} clusters", clusters.0.len());
        prop_assert!(clusters.0.iter().all(|cluster| cluster.members > 0));
        prop_assert_eq!(&clusters, &Clusters::learn(&shuffled));
        prop_assert_eq!(clusters.like(&partial), Clusters::learn(&shuffled).like(&partial));
    }

    /// Also for clusters that nobody learned, from a damaged file.
    #[test]
    fn any_like_is_near_and_never_below_what_was_seen(clusters in any_clusters(), partial in any_day()) {
        if let Some(like) = clusters.like(&partial) {
            prop_assert!(like.distance <= FARTHEST && like.cluster < clusters.0.len(), "{:?}", like);
            for (hour, seen) in partial.means.iter().zip(&partial.peaks).enumerate().map(|(hour, (mean, peak))| (hour, *mean.max(peak))) {
                prop_assert!(like.hourly_peaks[hour].get() >= u64::from(seen.unwrap_or(0)), "hour {}: {:?} of {:?}", hour, like, partial);
            }
        }
    }

    #[test]
    fn a_longer_horizon_never_has_a_lower_peak(
        peaks in any::<u64>().prop_map(Numbers).prop_map(|mut numbers| std::array::from_fn(|_| MilliCpu::new(numbers.odd().into()))), unix in any::<u64>(), one in 0u64..200_000, more in 0u64..200_000, nanos in 0u32..1_000_000_000,
    ) {
        let like = Like { hourly_peaks: peaks, distance: Permille::new(0), cluster: 0 };
        let (wall, short, long) = (WallTime::from_unix(unix), Duration::new(one, nanos), Duration::new(one + more, nanos));
        prop_assert!(like.peak(wall, short) <= like.peak(wall, long), "{:?} and {:?} from {:?}: {:?}", short, long, wall, like);
        prop_assert!(like.peak(wall, Duration::ZERO) == peaks[usize::try_from(unix / 3600 % 24).unwrap()]);
    }

    /// Noise of 20 % does not hide a shape: half a day that shows both what is high and what is low tells the other half, as any three quarters tell the last.
    /// The level and the few members of each cluster bear the noise too, hence the tolerance.
    #[test]
    fn most_of_a_day_tells_the_rest(seed in any::<u64>(), (first, count) in prop_oneof![Just((1, 12)), Just((13, 12)), (0..HOURS, Just(18))]) {
        let noisy = noisy(seed);
        let clusters = Clusters::learn(noisy.iter().map(|(.., day)| day));
        prop_assert!(clusters.0.len() == shapes().len(), "{} clusters", clusters.0.len());
        for (name, shape, whole) in noisy {
            let like = clusters.like(&only(&whole, first, count)).unwrap();
            let told = told(&like, &shape);
            prop_assert!(told.iter().all(|percent| (70..=150).contains(percent)), "{} from {} for {}: {:?}", name, first, count, told);
        }
    }

    /// However few hours were seen, a like is found, and is not far below what comes.
    #[test]
    fn a_like_from_few_hours_errs_upward(seed in any::<u64>(), first in 0..HOURS, count in 2usize..12) {
        let noisy = noisy(seed);
        let clusters = Clusters::learn(noisy.iter().map(|(.., day)| day));
        for (name, shape, whole) in noisy {
            let like = clusters.like(&only(&whole, first, count)).unwrap();
            let told = told(&like, &shape);
            prop_assert!(told.iter().all(|percent| *percent >= 70), "{} from {} for {}: {:?}", name, first, count, told);
        }
    }
}
