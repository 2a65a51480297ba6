use super::*;
use crate::record::codec::{Encoder, Tick};
use crate::record::fixtures::{Ticker, header, snapshot};
use crate::record::member::Member;
use std::io::Cursor;

/// Usage that rises and falls, with a jump now and then.
fn usage(second: u64) -> u64 {
    if second.is_multiple_of(17) { 3900 } else { 500 + second * 37 % 900 }
}

fn ticks(seconds: std::ops::Range<u64>) -> Vec<Tick> {
    let mut ticker = Ticker::new();
    seconds.map(|second| ticker.tick(snapshot(second, usage(second)), second % 40 == 1)).collect()
}

fn file(lines: &[Line]) -> Vec<u8> {
    let mut member = Member::new();
    lines.iter().for_each(|line| member.line(&serde_json::to_string(line).unwrap()).unwrap());
    member.finish().unwrap()
}

fn lines_of(ticks: Vec<Tick>) -> Vec<Line> {
    let mut encoder = Encoder::default();
    let tick = |tick| Line::Tick(Box::new(encoder.encode(tick).unwrap()));
    std::iter::once(Line::Header(Box::new(header()))).chain(ticks.into_iter().map(tick)).collect()
}

fn options(policies: &[PolicyName]) -> Options {
    Options { policies: policies.to_vec(), horizon: Duration::from_secs(30) }
}

fn run(lines: &[Line], policies: &[PolicyName]) -> Result<Report, String> {
    let options = options(policies);
    let mut runner = Runner::new(&options);
    runner.read(Path::new("rec"), &mut Lines::new(Cursor::new(file(lines))))?;
    runner.report(&options)
}

#[test]
fn the_same_code_decides_the_same_again() {
    let report = run(&lines_of(ticks(1..121)), &[]).unwrap();
    assert!(report.is_identical(), "{report:?}");
    let counts = [&report.estimates, &report.states, &report.evictions].map(|check| check.replayed);
    assert_eq!(counts, [120, 2, 120], "{report:?}");
    assert!(report.placements.replayed > 0, "{report:?}");
    assert!((report.seconds - 119.0).abs() < 1e-9, "{report:?}");
    assert!(report.policies[0].recorded && report.policies[0].score.lent_cpu_hours > 0.0, "{report:?}");
}

#[test]
fn a_decision_that_is_another_now_is_shown_with_its_place() {
    let mut changed = ticks(1..30);
    changed[9].estimate.cpu = gleaner_model::MilliCpu::new(1);
    changed[11].estimate.cpu = gleaner_model::MilliCpu::new(2);
    let report = run(&lines_of(changed), &[]).unwrap();
    assert_eq!((report.estimates.replayed, report.estimates.identical, report.is_identical()), (29, 27, false));
    let first = report.estimates.first_difference.unwrap();
    assert_eq!((first.place.as_str(), first.field.as_str(), first.recorded.as_str()), ("rec:11", "/cpu", "\"1m\""), "{first:?}");
}

#[test]
fn a_state_that_was_carried_otherwise_is_a_difference() {
    let mut changed = ticks(1..50);
    changed[40].states.as_mut().unwrap().estimator = gleaner_estimator::State::default();
    let report = run(&lines_of(changed), &[]).unwrap();
    assert_eq!((report.states.replayed, report.states.identical), (1, 0), "{report:?}");
}

#[test]
fn replay_goes_on_after_a_gap_from_the_whole_tick_behind_it() {
    let mut lines = lines_of(ticks(1..121));
    lines.splice(60..81, [Line::Gap(21)]);
    let report = run(&lines[..], &[PolicyName::Canonical]).unwrap();
    assert!(report.is_identical(), "{report:?}");
    assert_eq!((report.ticks, report.missing, report.notes.len()), (99, 21, 1), "{report:?}");
}

#[test]
fn files_of_one_run_are_one_recording() {
    let all = ticks(1..121);
    let whole = run(&lines_of(all.clone()), &[PolicyName::UsageMargin]).unwrap();
    let options = options(&[PolicyName::UsageMargin]);
    let mut runner = Runner::new(&options);
    for part in all.chunks(40) {
        let mut lines = Lines::new(Cursor::new(file(&lines_of(part.to_vec()))));
        runner.read(Path::new("part"), &mut lines).unwrap();
    }
    let parts = runner.report(&options).unwrap();
    assert_eq!(serde_json::to_value(&parts).unwrap(), serde_json::to_value(&whole).unwrap());
}

#[test]
fn the_same_recording_gives_the_same_report() {
    let lines = lines_of(ticks(1..121));
    let text = || serde_json::to_string(&run(&lines, &PolicyName::ALL).unwrap()).unwrap();
    let first = text();
    assert_eq!(first, text());
    assert_eq!(run(&lines, &PolicyName::ALL).unwrap().policies.len(), 1 + PolicyName::ALL.len());
}

#[test]
fn the_recorded_policy_beside_itself_is_the_same() {
    let report = run(&lines_of(ticks(1..121)), &[gleaner_estimator::Policy::default().policy]).unwrap();
    let [recorded, again] = &report.policies[..] else { panic!("{report:?}") };
    assert_eq!((&recorded.score, recorded.evictions), (&again.score, again.evictions));
}

#[test]
fn what_is_of_no_use_is_refused_with_its_place() {
    let all = lines_of(ticks(1..5));
    let without_header = run(&all[1..], &[]).unwrap_err();
    assert_eq!(without_header, "rec:1: a tick before any header");
    let without_whole = run(&[all[0].clone(), all[2].clone()], &[]).unwrap_err();
    assert_eq!(without_whole, "rec:2: says only what changed, and there is no tick before it");
    let mut other = header();
    other.record = 2;
    assert_eq!(run(&[Line::Header(Box::new(other))], &[]).unwrap_err(), "rec:1: recorded in format 2, and this gleaner reads format 1");
    assert_eq!(run(&all[..1], &[]).unwrap_err(), "no tick to replay");
    let mut foreign = Runner::new(&options(&[]));
    foreign.read(Path::new("page.md"), &mut Lines::new(Cursor::new(b"# A page of text\n".to_vec()))).unwrap();
    let told = foreign.report(&options(&[])).unwrap_err();
    assert_eq!(told, "no tick to replay: page.md: is no recording, or nothing is left of it (invalid gzip header)");
    let foreign = open(Path::new("/dev/null")).map(|_| ()).unwrap_err().to_string();
    assert_eq!(foreign, "is not a regular file");
}
