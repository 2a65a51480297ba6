use super::*;
use crate::play::tests::{flat, plan};

/// Promises the same, always.
struct Always(u64);

impl Lender for Always {
    fn second(&mut self, _: Timestamp, _: WallTime, _: &[VmUse<'_>]) -> MilliCpu {
        MilliCpu::new(self.0)
    }
}

/// Promises what it was told for each step, whatever it sees.
struct Told(VecDeque<MilliCpu>);

impl Lender for Told {
    fn second(&mut self, _: Timestamp, _: WallTime, _: &[VmUse<'_>]) -> MilliCpu {
        self.0.pop_front().unwrap_or_default()
    }
}

/// Promises what was free in the sample, and writes down what it saw.
#[derive(Default)]
struct Watching(Vec<(u64, u64, Vec<Option<u64>>)>);

impl Lender for Watching {
    fn second(&mut self, now: Timestamp, wall: WallTime, uses: &[VmUse<'_>]) -> MilliCpu {
        self.0.push((now.elapsed().as_secs(), wall.second_of_day(), uses.iter().map(|each| each.usage.map(MilliCpu::get)).collect()));
        let used: MilliCpu = uses.iter().filter_map(|each| each.usage).sum();
        MilliCpu::new(10_000).minus(used)
    }
}

fn settings() -> Settings {
    Settings { cores: 10, reserve: MilliCpu::ZERO, delay: 0, warm_up: 0, step: 10, ..Settings::default() }
}

fn demands(set: &TraceSet, plan: &NodePlan, settings: &Settings) -> Vec<Option<u64>> {
    let mut all = Vec::new();
    play(set, plan, settings, |_, uses| all.push(uses.iter().map(|seen| seen.demand.map(u64::from)).sum()));
    all
}

fn run<L: Lender>(set: &TraceSet, plan: &NodePlan, settings: &Settings, lender: &mut L) -> ([u64; 2], [Score; 2]) {
    let outcome = run_node(set, plan, settings, std::slice::from_mut(lender), None);
    (outcome.clairvoyant, outcome.scores[0])
}

#[test]
fn a_sample_shows_the_step_before_and_its_answer_is_in_force_after_the_delay() {
    let set = flat(&[&[10.0, 90.0, 10.0, 10.0, 10.0].map(Some)]);
    let plan = plan(5, &[(10, &[(0, 5)])]);
    let mut watching = Watching::default();
    let (_, [_, score]) = run(&set, &plan, &settings(), &mut watching);
    let seen: Vec<_> = watching.0.iter().map(|(now, wall, uses)| (*now, *wall, uses.clone())).collect();
    let expected = [(10, 1000), (20, 9000), (30, 1000), (40, 1000)].map(|(at, used)| (at, at, vec![Some(used)]));
    assert_eq!(seen, expected);
    // Promised: 0, 9000, 1000, 9000, 9000. Free: 9000, 1000, 9000, 9000, 9000.
    assert_eq!((score.promised, score.lent, score.violation_seconds), (280_000, 200_000, 10));
    let delayed = Settings { delay: 20, ..settings() };
    // Promised: 0, 0, 0, 9000, 1000.
    let (_, [_, score]) = run(&set, &plan, &delayed, &mut Watching::default());
    assert_eq!((score.promised, score.lent, score.violation_seconds), (100_000, 100_000, 0));
}

#[test]
fn who_promises_nothing_lends_nothing_and_violates_nothing() {
    let set = flat(&[&[10.0, 100.0, 20.0].map(Some)]);
    let (clairvoyant, [_, score]) = run(&set, &plan(3, &[(10, &[(0, 3)])]), &settings(), &mut Always(0));
    let expected = Score { seconds: 30, capacity: 300_000, demand: 130_000, ..Score::default() };
    assert_eq!(score, expected);
    assert_eq!(clairvoyant, [0, 10 * 8000]);
}

#[test]
fn a_clairvoyant_lender_lends_all_that_can_be_and_violates_nothing() {
    let rows: Vec<Option<f32>> =
        [5.0, 60.0, 20.0, 95.0, 0.0, 33.0, 71.0, 12.0, 44.0, 3.0].iter().cycle().take(500).copied().map(Some).collect();
    let mut steep = flat(&[&rows, &rows[3..].iter().chain(&rows[..3]).copied().collect::<Vec<_>>()]);
    for load in steep.columns.iter_mut().flat_map(|column| column.rows.iter_mut().flatten()) {
        load.average /= 2.0;
    }
    let plan = plan(500, &[(4, &[(0, 500)]), (6, &[(1, 500)])]);
    for horizon in [1usize, 7, 60] {
        let settings = Settings { step: 1, delay: 2, warm_up: 100, horizon: Horizon::Seconds(horizon as u64), ..settings() };
        let demand = demands(&steep, &plan, &settings);
        let free = |at: usize| 10_000 - demand[at..demand.len().min(at + horizon)].iter().flatten().copied().max().unwrap_or(0);
        // The first answer is of second 1, and is in force in second 3.
        let mut told = Told((3..demand.len()).map(|at| MilliCpu::new(free(at))).collect());
        let ([_, clairvoyant], [_, score]) = run(&steep, &plan, &settings, &mut told);
        assert_eq!((score.lent, score.violation_seconds), (clairvoyant, 0), "horizon {horizon}");
        assert_eq!((score.seconds, score.promised), (4900, clairvoyant));
    }
}

#[test]
fn a_hole_is_not_scored_and_its_machine_has_no_usage() {
    let set = flat(&[&[Some(10.0), None, Some(10.0), Some(10.0)], &[20.0, 20.0, 20.0, 20.0].map(Some)]);
    let mut watching = Watching::default();
    let ([_, clairvoyant], [_, score]) = run(&set, &plan(4, &[(5, &[(0, 4)]), (5, &[(1, 4)])]), &settings(), &mut watching);
    assert_eq!(watching.0[1], (20, 20, vec![None, Some(1000)]));
    assert_eq!((score.seconds, score.unknown_seconds, score.demand), (30, 10, 3 * 15_000));
    assert_eq!(clairvoyant, 3 * 85_000);
}

#[test]
fn the_warm_up_is_scored_apart() {
    let set = flat(&[&[10.0, 10.0, 10.0].map(Some)]);
    let settings = Settings { warm_up: 20, ..settings() };
    let (clairvoyant, [warm_up, scored]) = run(&set, &plan(3, &[(10, &[(0, 3)])]), &settings, &mut Always(9500));
    assert_eq!((warm_up.seconds, warm_up.violation_seconds), (20, 10));
    assert_eq!((scored.seconds, scored.violation_seconds, scored.lent), (10, 10, 90_000));
    assert_eq!(clairvoyant, [180_000, 90_000]);
}

#[test]
fn over_a_lifetime_the_clairvoyant_knows_only_pods_that_run() {
    let set = flat(&[&[10.0, 10.0, 40.0].map(Some), &[20.0, 20.0, 90.0].map(Some)]);
    // The second slot: vm0 for a row, then vm1.
    let plan = plan(3, &[(10, &[(0, 3)]), (10, &[(0, 1), (1, 3)])]);
    let settings = Settings { horizon: Horizon::Lifetime, cores: 20, ..settings() };
    let ([_, clairvoyant], _) = run(&set, &plan, &settings, &mut Always(0));
    // First row: its own 2 CPUs, and vm0 alone with 4 later. From the second on: 13 at the end.
    assert_eq!(clairvoyant, 10 * (16_000 + 7000 + 7000));
}

#[test]
fn pods_are_told_apart_and_have_their_age() {
    struct Pods(Vec<(u64, String, u64)>);
    impl Lender for Pods {
        fn second(&mut self, _: Timestamp, _: WallTime, uses: &[VmUse<'_>]) -> MilliCpu {
            self.0.extend(uses.iter().map(|each| (each.pod, each.workload.to_string(), each.age.as_secs())));
            MilliCpu::ZERO
        }
    }
    let set = flat(&[&[10.0, 10.0, 40.0].map(Some)]);
    let mut pods = Pods(Vec::new());
    run(&set, &plan(3, &[(10, &[(0, 1), (0, 3)])]), &settings(), &mut pods);
    let name = "flat/VirtualMachine/vm0".to_owned();
    assert_eq!(pods.0, [(0, name.clone(), 10), (1, name, 10)]);
}
