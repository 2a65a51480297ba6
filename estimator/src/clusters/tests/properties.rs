use super::*;
use proptest::prelude::*;

/// Any value, and often one at an edge.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![3 => any::<u32>(), 3 => 0u32..5000, 1 => Just(0), 1 => Just(1), 1 => Just(u32::MAX)]
}

fn any_day() -> impl Strategy<Value = Day> {
    let seen = || {
        prop_oneof![
            prop::array::uniform24(value().prop_map(Some)),
            prop::array::uniform24(prop::option::weighted(0.9, value())),
            value().prop_map(|value| [Some(value); HOURS]),
        ]
    };
    (seen(), seen()).prop_map(|(means, peaks)| Day { means, peaks })
}

fn any_clusters() -> impl Strategy<Value = Clusters> {
    let hours = || prop::array::uniform24(value());
    let cluster = (any::<u32>(), hours(), hours()).prop_map(|(members, means, peaks)| Cluster { members, means, peaks });
    prop::collection::vec(cluster, 0..=MOST).prop_map(Clusters)
}

/// Five workloads of each shape, each hour of which is up to a fifth more or less.
fn noisy() -> impl Strategy<Value = Vec<(Shape, Day)>> {
    prop::collection::vec(prop::array::uniform24(800u32..=1200), 20).prop_map(|noises| {
        let with = |shape: Shape, noise: Shape| std::array::from_fn(|hour| shape[hour] * noise[hour] / 1000);
        noises.into_iter().zip(shapes().into_iter().cycle()).map(|(noise, (_, shape))| (shape, day(&with(shape, noise), 2000))).collect()
    })
}

proptest! {
    /// The end of each test is that it ends: no sum overflows, nothing divides by zero.
    #[test]
    fn any_days_make_at_most_eight_clusters_and_any_order_the_same(
        (days, shuffled) in prop::collection::vec(any_day(), 0..60).prop_flat_map(|days| (Just(days.clone()), Just(days).prop_shuffle())),
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
        peaks in prop::array::uniform24(any::<u64>().prop_map(MilliCpu::new)), unix in any::<u64>(), one in 0u64..200_000, more in 0u64..200_000, nanos in 0u32..1_000_000_000,
    ) {
        let like = Like { hourly_peaks: peaks, distance: Permille::new(0), cluster: 0 };
        let (wall, short, long) = (WallTime::from_unix(unix), Duration::new(one, nanos), Duration::new(one + more, nanos));
        prop_assert!(like.peak(wall, short) <= like.peak(wall, long), "{:?} and {:?} from {:?}: {:?}", short, long, wall, like);
        prop_assert!(like.peak(wall, Duration::ZERO) == peaks[usize::try_from(unix / 3600 % 24).unwrap()]);
    }

    /// Noise of 20 % does not hide a shape: half a day of one workload, whenever it begins, tells the other half.
    #[test]
    fn half_a_day_tells_the_other_half(noisy in noisy(), first in 0..HOURS) {
        let clusters = Clusters::learn(noisy.iter().map(|(_, day)| day));
        prop_assert!(clusters.0.len() == shapes().len(), "{} clusters", clusters.0.len());
        for (shape, whole) in noisy {
            let like = clusters.like(&only(&whole, first, 12)).unwrap();
            for (hour, clean) in shape.iter().enumerate() {
                // 2000 is the level, 1.3 its peaks; noise adds up to a fifth to each.
                let (told, clean) = (like.hourly_peaks[hour].get(), u64::from(*clean) * 2 * 13 / 10);
                prop_assert!((clean * 85 / 100..=clean * 150 / 100).contains(&told), "hour {}: told {}, without noise {}: {:?}", hour, told, clean, whole);
            }
        }
    }

    /// However few hours were seen, where a like is found it is not far below what comes.
    #[test]
    fn a_like_from_few_hours_errs_upward(noisy in noisy(), first in 0..HOURS, count in 2usize..12) {
        let clusters = Clusters::learn(noisy.iter().map(|(_, day)| day));
        for (shape, whole) in noisy {
            let Some(like) = clusters.like(&only(&whole, first, count)) else { continue };
            for (hour, clean) in shape.iter().enumerate() {
                let (told, clean) = (like.hourly_peaks[hour].get(), u64::from(*clean) * 2 * 13 / 10);
                prop_assert!(told >= clean * 70 / 100, "hour {}: told {}, without noise {}: {:?} from {} for {}", hour, told, clean, whole, first, count);
            }
        }
    }
}
