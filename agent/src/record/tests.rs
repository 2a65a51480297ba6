use super::*;
use fixtures::{Ticker, at, snapshot};
use gleaner_model::{Reason, Subject};

fn recording(room: usize) -> (Recording, Receiver<Job>) {
    let (queue, jobs) = sync_channel(room);
    let (_, ended) = sync_channel(1);
    (Recording::new(queue, ended, Arc::new(AtomicBool::new(true))), jobs)
}

fn tick(recording: &mut Recording, second: u64, recorder: &Recorder) {
    let made = Ticker::new().tick(snapshot(second, 500), true);
    recording.begin(at(second), &made.assignment, || made.states.clone().unwrap());
    recording.end(made.snapshot, made.policies, made.advice, made.estimate, recorder);
}

#[test]
fn a_disk_that_is_too_slow_never_makes_the_loop_wait() {
    let (mut recording, jobs) = recording(2);
    let recorder = Recorder::default();
    (1..=10).for_each(|second| tick(&mut recording, second, &recorder));
    let got: Vec<(u64, bool)> = jobs.try_iter().map(|job| (job.missing, job.tick.states.is_some())).collect();
    assert_eq!(got, [(0, true), (0, false)], "only the first is a whole one");
    tick(&mut recording, 11, &recorder);
    tick(&mut recording, 12, &recorder);
    let got: Vec<(u64, bool)> = jobs.try_iter().map(|job| (job.missing, job.tick.states.is_some())).collect();
    assert_eq!(got, [(8, true), (0, false)], "after a gap a whole one");
}

#[test]
fn a_whole_tick_comes_when_it_is_asked_for_and_every_five_minutes() {
    let (mut recording, jobs) = recording(1);
    let mut whole = |second| {
        tick(&mut recording, second, &Recorder::default());
        let whole = jobs.recv().unwrap().tick.states.is_some();
        recording.wanted.store(second == 3, Ordering::Relaxed);
        whole
    };
    assert_eq!([1, 2, 3, 4, 5, 303, 304, 305].map(&mut whole), [true, false, false, true, false, false, true, false]);
}

#[test]
fn each_decision_is_written_once_in_its_order() {
    let (mut recording, jobs) = recording(8);
    let mut recorder = Recorder::default();
    let decide = |recorder: &mut Recorder, what: &str| recorder.record(at(1), Subject::Node, Reason::Lifecycle { what: what.to_owned() });
    decide(&mut recorder, "a");
    decide(&mut recorder, "b");
    tick(&mut recording, 1, &recorder);
    tick(&mut recording, 2, &recorder);
    decide(&mut recorder, "c");
    tick(&mut recording, 3, &recorder);
    let text = |job: Job| job.tick.decisions.iter().map(|d| d.reason.to_string()).collect::<Vec<_>>();
    let got: Vec<Vec<String>> = jobs.try_iter().map(text).collect();
    assert_eq!(got, [vec!["a", "b"], vec![], vec!["c"]]);
}

#[test]
fn without_a_file_nothing_is_started() {
    assert!(Recording::start(&RecordSettings::default(), fixtures::header(), |_| {}).unwrap().is_none());
}

#[test]
fn a_stop_waits_for_what_is_not_written_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let settings = RecordSettings { file: Some(path.clone()), ..RecordSettings::default() };
    let mut recording = Recording::start(&settings, fixtures::header(), |_| {}).unwrap().unwrap();
    tick(&mut recording, 1, &Recorder::default());
    recording.stop();
    let mut lines = read::open(&path).unwrap();
    let found: Vec<bool> =
        std::iter::from_fn(|| lines.next().ok()).take_while(|next| matches!(next, read::Next::Line(_))).map(|_| true).collect();
    assert_eq!(found.len(), 2, "a header and a tick");
}
