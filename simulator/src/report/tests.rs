use super::*;
use crate::play::tests::{flat, plan};
use gleaner_model::MilliCpu;

fn outcome(scale: u64) -> NodeOutcome {
    let warm_up = Score { seconds: 60, capacity: 600_000, ..Score::default() };
    let scored = Score {
        seconds: 7200 * scale,
        unknown_seconds: 30,
        capacity: 72_000_000 * scale,
        demand: 18_000_000 * scale,
        promised: 40_000_000 * scale,
        lent: 36_000_000 * scale,
        violation_seconds: 72,
        worst_cut: MilliCpu::new(1500 * scale),
        evictions: 3,
        changes: 4,
    };
    NodeOutcome { clairvoyant: [0, 45_000_000 * scale], scores: vec![[warm_up, scored]], trail: None }
}

fn report(sets: usize) -> Report {
    let set = flat(&[&[Some(1.0); 360]]);
    let settings = Settings { cores: 10, warm_up: 60, ..Settings::default() };
    let contenders = contenders(&[PolicyName::Canonical], &Policy::default(), settings.machine(), false);
    let plans = [plan(360, &[(10, &[(0, 360)])]), plan(360, &[(10, &[(0, 100), (0, 360)])])];
    let mut report = Report::new(settings);
    for _ in 0..sets {
        report.add(&set, &plans, &contenders, &[outcome(1), outcome(3)]);
    }
    report.total(&contenders);
    report
}

#[test]
fn a_row_is_made_of_the_sums_of_all_nodes() {
    let report = report(1);
    let part = &report.sets[0];
    assert_eq!((report.sets.len(), part.nodes, part.machines), (1, 2, 3));
    let row = &part.rows[0];
    let exact = [
        (row.lent_percent.unwrap(), 80.0),
        (row.lent_hours, 40.0),
        (row.clairvoyant_hours, 50.0),
        (row.violation_minutes, 2.4),
        (row.violation_percent, 0.5),
        (row.worst_cut, 4.5),
        (row.changes_per_hour, 1.0),
        (row.used_before, 25.0),
        (row.used_after, 75.0),
        (row.unknown_minutes, 1.0),
    ];
    assert!(exact.iter().all(|(found, wanted)| (found - wanted).abs() < 1e-9), "{exact:?}");
    assert_eq!(row.evictions, 6);
    assert_eq!(part.warm_up[0].lent_percent, None, "where nothing can be lent there is no share of it");
}

#[test]
fn several_sets_have_a_total() {
    let report = report(2);
    let names: Vec<&str> = report.sets.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["flat", "flat", "all sets"]);
    let total = &report.sets[2];
    assert_eq!((total.nodes, total.machines, total.rows[0].evictions), (4, 6, 12));
    assert_eq!(total.rows[0].lent_percent, report.sets[0].rows[0].lent_percent);
}

#[test]
fn the_table_says_what_was_simulated_and_is_aligned() {
    let text = report(1).to_string();
    let expected = "\
nodes of 10 CPUs, reserve 4, seed 1, all columns, step 1s, delay 2s, horizon 1h, machines stay

flat: 2 nodes, 3 machines, 0.1 node-days; the first 1m of each node is not scored, nor are 1.0 min with a hole in a trace
POLICY     MARGIN   LENT  VIOLATION           WORST CUT  EVICTIONS  CHANGES/H            USED
canonical   *125%  80.0%    2.4 min  0.5000%   4.5 CPUs          6        1.0  25.0% -> 75.0%
";
    assert_eq!(text, expected, "{text}");
}

#[test]
fn a_sweep_tries_all_margins_and_marks_the_configured_one() {
    let settings = Settings::default();
    let policy = Policy::default();
    for name in PolicyName::ALL {
        let plain = contenders(&[name], &policy, settings.machine(), false);
        assert!(matches!(plain.as_slice(), [only] if only.chosen && only.margin == margin(name, &policy)), "{plain:?}");
        let swept = contenders(&[name], &policy, settings.machine(), true);
        assert_eq!(swept.iter().filter(|contender| contender.chosen).count(), 1, "{name}");
        assert!(swept.windows(2).all(|pair| pair[0].margin < pair[1].margin), "{name}");
        assert!(margins(name).iter().all(|margin| swept.iter().any(|contender| contender.margin == *margin)), "{name}");
        assert!(swept.iter().all(|contender| contender.policy.cpu_reserve == settings.reserve));
    }
}
