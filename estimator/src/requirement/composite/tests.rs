use super::*;
use crate::history::RegionHistory;
use crate::requirement::testing::{evidence, member, milli, of_region, of_workload, tuesday};

/// Peaks of 1000 in the last 5 minutes, 2000 in the last hour, 3000 in the last three and 4000 in the day; at this hour of the day before 1500.
fn busy() -> RegionHistory {
    let quiet = |ago, long| (ago, long, 100);
    of_region(&[
        (24 * 60, 120, 1500),
        (290, 1, 4000),
        quiet(289, 139),
        (150, 1, 3000),
        quiet(149, 119),
        (30, 1, 2000),
        quiet(29, 26),
        (3, 3, 1000),
    ])
}

/// Without a margin.
fn bare() -> CompositeSettings {
    CompositeSettings { margin: Permille::new(0), ..CompositeSettings::default() }
}

fn found(evidence: &Evidence<'_>, settings: &CompositeSettings, learned: u32) -> (u64, RequirementRule) {
    let found = composite(evidence, settings, Permille::new(learned), None);
    (found.cpu.get(), found.rule)
}

#[test]
fn the_past_is_the_mean_of_the_windows_peaks_with_a_margin() {
    let history = busy();
    let members = [Member { usage: Some(milli(500)), ..member(Some(1000)) }];
    let region = Evidence { wanted: milli(600), ..evidence(&members, &history) };
    let share = Permille::new;
    let table = [
        ("all windows", bare(), 0, 2500),
        ("a margin of ten CPUs", CompositeSettings { margin: share(20), ..bare() }, 0, 2700),
        ("what was learned", CompositeSettings { margin: share(20), ..bare() }, 50, 3200),
        ("half of what the past is above use now", CompositeSettings { past: share(500), ..bare() }, 0, 1500),
        ("one window", CompositeSettings { windows: vec![Span::from_secs(300)], ..bare() }, 0, 2500),
        ("a shorter longest one", CompositeSettings { longest: Span::from_secs(3600), ..bare() }, 0, 2000),
    ];
    for (name, settings, learned, expected) in table {
        assert_eq!(found(&region, &settings, learned), (expected, RequirementRule::Recent), "{name}");
    }
    for (name, settings) in [
        ("no window", CompositeSettings { windows: Vec::new(), ..bare() }),
        ("the past has no say", CompositeSettings { past: share(0), ..bare() }),
    ] {
        assert_eq!(found(&region, &settings, 0), (600, RequirementRule::Now), "{name}");
    }
    assert_eq!(found(&evidence(&members, &RegionHistory::default()), &bare(), 0).1, RequirementRule::Now, "nothing is remembered");
}

#[test]
fn this_hour_on_days_before_lowers_the_peak_of_the_longest_window() {
    let history = busy();
    let members = [member(Some(1000))];
    let region = evidence(&members, &history);
    let at = |wall| found(&Evidence { wall, ..region }, &bare(), 0);
    let later = |hours: u64| Some(tuesday().after(Duration::from_secs(hours * 3600)));
    assert_eq!(at(None), (2500, RequirementRule::Recent), "without a calendar");
    assert_eq!(at(Some(tuesday())), ((1000 + 2000 + 3000 + 1500) / 4, RequirementRule::Seasonal));
    assert_eq!(at(later(6)), (2500, RequirementRule::Recent), "an hour that was never seen");
    let calm_before = of_region(&[(24 * 60, 120, 300), (290, 1, 4000), (3, 3, 1000)]);
    let wall = Some(tuesday());
    let calm = found(&Evidence { wall, ..evidence(&members, &calm_before) }, &bare(), 0);
    assert_eq!(calm, ((1000 * 3 + 1000) / 4, RequirementRule::Seasonal), "not below the peak of the first window");
    let busy_before = of_region(&[(24 * 60, 120, 9000), (3, 3, 1000)]);
    let short = CompositeSettings { longest: Span::from_secs(3600), ..bare() };
    assert_eq!(
        found(&Evidence { wall, ..evidence(&members, &busy_before) }, &short, 0),
        (1000, RequirementRule::Recent),
        "it raises nothing"
    );
}

#[test]
fn a_container_that_is_new_counts_with_its_request_or_with_what_its_workload_used() {
    let nothing = RegionHistory::default();
    let settings = CompositeSettings { windows: Vec::new(), ..bare() };
    let hour = of_workload(&[(24 * 60, 120, 600)]);
    let often = of_workload(&[(1500, 90, 640)]);
    let hardly = of_workload(&[(20, 20, 640)]);
    let old = Member { usage: Some(milli(100)), ..member(Some(1000)) };
    let young = Member { age: Duration::from_secs(299), ..old };
    type Row<'a> = (&'static str, Option<WallTime>, Vec<Member<'a>>, u64, RequirementRule);
    use RequirementRule::{Now, Percentile, Request};
    use gleaner_model::WallTime;
    let today = Some(tuesday());
    let table: [Row<'_>; 9] = [
        ("an old one", None, vec![old], 200, Now),
        ("old for just long enough", None, vec![Member { age: Duration::from_secs(300), ..old }], 200, Now),
        ("a new one", None, vec![old, young], 200 + 900, Request),
        ("one that uses more than its request", None, vec![Member { usage: Some(milli(1500)), ..young }], 200, Now),
        ("one without reading and request", None, vec![Member { usage: None, request: None, ..young }], 200, Request),
        ("its workload at this hour", today, vec![Member { history: Some(&hour), ..young }], 100 + 500, Percentile),
        ("its like", today, vec![Member { history: Some(&hardly), like: Some(milli(700)), ..young }], 100 + 600, Percentile),
        ("a workload that is hardly known", today, vec![Member { history: Some(&hardly), ..young }], 100 + 900, Request),
        ("one that is known and one that is not", today, vec![Member { history: Some(&hour), ..young }, young], 200 + 500 + 900, Request),
    ];
    for (name, wall, members, expected, rule) in table {
        // What is waited for (wanted less usage) is not added to what is yet to come.
        let region = Evidence { wall, wanted: milli(200), ..evidence(&members, &nothing) };
        assert_eq!(found(&region, &settings, 0), (expected, rule), "{name}");
    }
    let members = [Member { history: Some(&often), ..young }];
    let (cpu, rule) = found(&Evidence { wanted: milli(200), ..evidence(&members, &nothing) }, &settings, 0);
    assert!((100 + 540..=100 + 580).contains(&cpu) && rule == Percentile, "seldom exceeded before: {cpu} by {rule:?}");
}

#[test]
fn what_misses_its_target_rules_when_it_asks_for_most() {
    let history = busy();
    let members = [member(Some(1000))];
    let region = Evidence { wanted: milli(600), ..evidence(&members, &history) };
    for (asked, expected) in [(2499, RequirementRule::Recent), (2500, RequirementRule::Recent), (2501, RequirementRule::Feedback)] {
        let others = Requirement { cpu: milli(asked), rule: RequirementRule::Feedback };
        let found = composite(&region, &bare(), Permille::new(0), Some(others));
        assert_eq!((found.cpu, found.rule), (milli(asked.max(2500)), expected), "{asked} asked for");
    }
}
