use super::isolation::{isolating, large, sharing};
use super::*;

fn using(pod: Pod, milli: u64) -> (Pod, Option<ContainerReadings>) {
    (pod, Some(measured(milli, GIB, at(1000))))
}

fn figures(found: &Estimate) -> Vec<(String, u64, u64, Option<u64>)> {
    let one = |(region, figures): (&Region, &RegionFigures)| {
        (region.to_string(), figures.capacity.get(), figures.requested.get(), figures.usage.map(MilliCpu::get))
    };
    found.regions.iter().map(one).collect()
}

#[test]
fn pods_are_grouped_by_pool_and_share_the_node_by_their_requests() {
    let shared = |name: &str, milli| pod(name, QosClass::Shared, milli);
    let system = |name: &str, milli| pod(name, QosClass::System, milli);
    let row = |region: &str, capacity, requested, usage| (region.to_owned(), capacity, requested, usage);
    let empty = || row("share", 0, 0, None);
    type Row = (&'static str, Vec<(Pod, Option<ContainerReadings>)>, Vec<(String, u64, u64, Option<u64>)>);
    let table: [Row; 7] = [
        ("none", vec![], vec![empty()]),
        ("one", vec![using(shared("a", 1000), 300)], vec![row("share", 8000, 1000, Some(300))]),
        (
            "two pools",
            vec![using(shared("a", 1000), 300), using(in_pool(shared("b", 3000), "web"), 500), using(shared("c", 0), 20)],
            vec![row("share", 2000, 1000, Some(320)), row("web", 6000, 3000, Some(500))],
        ),
        (
            "system pods are a region of their own",
            vec![using(shared("a", 1000), 300), using(system("b", 1000), 40)],
            vec![row("share", 4000, 1000, Some(300)), row("system/", 4000, 1000, Some(40))],
        ),
        (
            "one that joins a pool by the beginning of its name",
            vec![using(in_pool(shared("a", 1000), "web"), 300), using(in_pool(system("b", 1000), "we"), 40)],
            vec![empty(), row("web", 8000, 2000, Some(340))],
        ),
        (
            "without requests the node is as much theirs as anybody's",
            vec![using(shared("a", 0), 300), using(system("b", 0), 40)],
            vec![row("share", 8000, 0, Some(300)), row("system/", 8000, 0, Some(40))],
        ),
        (
            "dedicated and reclaimed pods are in none",
            vec![using(pod("a", QosClass::Dedicated, 1000), 300), using(pod("b", QosClass::Reclaimed, 1000), 300)],
            vec![empty()],
        ),
    ];
    for (name, pods, expected) in table {
        let found = run(&snapshot(1000, 500, &pods), &Assignment::default());
        assert_eq!(figures(&found), expected, "{name}");
    }
}

#[test]
fn a_region_of_which_a_reading_is_missing_says_nothing_and_the_others_go_on() {
    let mut pods = vec![using(pod("a", QosClass::Shared, 1000), 300), using(in_pool(pod("b", QosClass::Shared, 1000), "web"), 500)];
    pods[0].1.as_mut().unwrap().cpu_usage = Reading::Absent(Absence::Unreadable("EIO".to_owned()));
    let found = run(&snapshot(1000, 500, &pods), &Assignment::default());
    let of = |name: &str| found.regions[&Region::Pool(pool(name))];
    assert_eq!((of("share").usage, of("share").requirement), (None, None));
    assert!(of("web").requirement.is_some(), "{:?}", of("web"));
    assert_eq!(cpu_rule(&found).0, ReclaimRule::Unknown);
}

#[test]
fn an_isolated_pod_is_a_region_of_its_own_until_it_is_let_out() {
    let pods: Vec<Pod> = (0..4).map(|i| pod(&format!("p{i}"), QosClass::Shared, 1000)).collect();
    let assignment = sharing(&pods, 20);
    let mut state = State::default();
    let mut told = Vec::new();
    for second in 1000..1020 {
        // It floods its pool for 8 s.
        let used = |i: usize| if i == 0 && second < 1008 { 6000 } else { 500 };
        let with = |(i, pod): (usize, &Pod)| (pod.clone(), Some(measured(used(i), GIB, at(second))));
        let s = snapshot(second, 8000, &pods.iter().enumerate().map(with).collect::<Vec<_>>());
        let (found, next) = estimate(&s, &large(), &assignment, &isolating(), &state);
        state = next;
        let requested = found.regions.values().map(|figures| figures.requested).sum::<MilliCpu>();
        assert_eq!(requested, MilliCpu::from_cpus(4), "each pod is in one region, at {second}: {:?}", found.regions);
        assert_eq!(state.controls.keys().collect::<Vec<_>>(), found.regions.keys().collect::<Vec<_>>(), "at {second}");
        told.push(found.regions.contains_key(&Region::Pool(PoolName::isolation(&uid("p0")))));
    }
    let (since, until) = (told.iter().position(|own| *own), told.iter().rposition(|own| *own));
    assert_eq!((since, until), (Some(3), Some(12)), "{told:?}");
}

#[test]
fn a_container_is_watched_while_its_pod_lives() {
    let pods = [using(pod("a", QosClass::Shared, 1000), 300), using(pod("b", QosClass::System, 1000), 300)];
    let both = snapshot(1000, 500, &pods);
    let (_, state) = estimate(&both, &machine(), &Assignment::default(), &policy(), &State::default());
    assert_eq!(state.tracks.keys().map(PodUid::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let (_, state) = estimate(&snapshot(1001, 500, &pods[1..]), &machine(), &Assignment::default(), &policy(), &state);
    assert_eq!(state.tracks.keys().map(PodUid::as_str).collect::<Vec<_>>(), ["b"]);
}
