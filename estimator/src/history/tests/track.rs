use super::*;
use proptest::prelude::*;

#[test]
fn a_load_is_damped_as_the_kernels() {
    let mut track = ContainerTrack::default();
    assert_eq!((track.loads(), track.first(), track.age(at(9))), (None, None, secs(0)));
    track.observe(at(0), None, cpu(800), cpu(200));
    assert_eq!(track.loads(), Some([cpu(1000); 2]), "it begins with the first reading");
    for second in 1..=60 {
        track.observe(at(second), None, cpu(0), cpu(0));
    }
    assert_eq!(track.loads(), Some([cpu(368), cpu(819)]), "1/e, and e to the power of -1/5");
    let mut sparse = ContainerTrack::default();
    sparse.observe(at(0), None, cpu(1000), cpu(0));
    sparse.observe(at(60), None, cpu(0), cpu(0));
    assert_eq!(sparse.loads(), track.loads(), "the interval does not matter");
    assert_eq!(sparse.age(at(90)), secs(90));
    sparse.observe(at(7), None, cpu(5000), cpu(0));
    assert_eq!(sparse.loads(), track.loads(), "no time went by, so nothing counts yet");
}

#[test]
fn a_minute_is_told_when_the_next_begins() {
    let mut track = ContainerTrack::default();
    let mut told = |second, used| track.observe(at(second), Some(wall(second)), cpu(used), cpu(9000));
    let table = [
        (50, 100, None),
        (59, 300, None),
        (60, 700, Some(minute(59, 300, 200))),
        (60, 800, None),
        (10, 600, None),
        (500, 1, Some(Minute { wall: Some(wall(10)), ..minute(60, 800, 700) })),
    ];
    for (second, used, expected) in table {
        assert_eq!(told(second, used), expected, "{used} at {second} s");
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_loads_stay_between_the_readings(readings in prop::collection::vec((any::<Duration>(), any::<u64>(), any::<u64>()), 1..40)) {
        let mut track = ContainerTrack::default();
        let (mut least, mut most) = (u64::MAX, 0);
        for (moment, used, waited) in readings {
            let load = cpu(used).plus(cpu(waited)).get().min(u64::from(u32::MAX));
            (least, most) = (least.min(load), most.max(load));
            track.observe(Timestamp::since_boot(moment), None, cpu(used), cpu(waited));
            let loads = track.loads().unwrap();
            prop_assert!(loads.iter().all(|load| (least..=most).contains(&load.get())), "{loads:?} is not from {least} to {most}");
        }
    }
}
