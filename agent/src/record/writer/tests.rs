use super::*;
use crate::record::fixtures::{Ticker, at, header, snapshot};
use crate::record::read::{Next, open};
use gleaner_model::{Bytes, Span};
use std::cell::RefCell;
use std::path::Path;

fn settings(max: u64) -> RecordSettings {
    RecordSettings { max_size: Bytes::new(max), keep: 2, flush_after: Span::from_secs(2), ..RecordSettings::default() }
}

fn lines(path: &Path) -> Vec<Line> {
    let (mut lines, mut found) = (open(path).unwrap(), Vec::new());
    while let Next::Line(line) = lines.next().unwrap() {
        found.push(line);
    }
    found
}

fn words(path: &Path) -> Vec<String> {
    let word = |line: &Line| match line {
        Line::Header(_) => "header".to_owned(),
        Line::Gap(ticks) => format!("gap {ticks}"),
        Line::Tick(tick) if tick.states.is_some() => "whole".to_owned(),
        Line::Tick(_) => "tick".to_owned(),
    };
    lines(path).iter().map(word).collect()
}

fn job(tick: Tick) -> Job {
    Job { missing: 0, tick: Box::new(tick) }
}

#[test]
fn ticks_that_did_not_get_through_leave_a_gap_and_a_whole_tick_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let wanted = Arc::new(AtomicBool::new(false));
    let mut writer = Writer::new(path.clone(), &settings(1 << 20), header(), wanted.clone(), |_| {});
    let mut ticker = Ticker::new();
    writer.take(job(ticker.tick(snapshot(1, 500), true)), at(1));
    writer.take(job(ticker.tick(snapshot(2, 500), false)), at(2));
    writer.take(Job { missing: 3, tick: Box::new(ticker.tick(snapshot(6, 500), false)) }, at(6));
    assert!(wanted.load(Ordering::Relaxed), "a whole tick is asked for");
    writer.take(job(ticker.tick(snapshot(7, 500), true)), at(7));
    writer.take(job(ticker.tick(snapshot(8, 500), false)), at(8));
    writer.flush();
    assert_eq!(words(&path), ["header", "whole", "tick", "gap 4", "whole", "tick"]);
}

#[test]
fn a_part_is_written_when_it_is_old_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let mut writer = Writer::new(path.clone(), &settings(1 << 20), header(), Arc::default(), |_| {});
    let mut ticker = Ticker::new();
    for second in 1..=3 {
        writer.take(job(ticker.tick(snapshot(second, 500), second == 1)), at(second));
        writer.flush_if_due(at(second));
        assert_eq!(path.exists(), second == 3, "second {second}");
    }
}

#[test]
fn every_file_can_be_read_alone_and_all_together_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let wanted = Arc::new(AtomicBool::new(true));
    let told = RefCell::new(Vec::new());
    let most = 12_000;
    let mut writer = Writer::new(path.clone(), &settings(most), header(), wanted.clone(), |problem| told.borrow_mut().push(problem));
    let mut ticker = Ticker::new();
    for second in 1..600 {
        let whole = wanted.swap(false, Ordering::Relaxed);
        writer.take(job(ticker.tick(snapshot(second, second * 7919 % 3000), whole)), at(second));
        writer.flush_if_due(at(second));
    }
    writer.flush();
    let sizes: Vec<u64> = ["rec", "rec.1", "rec.2"].map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len()).into();
    assert!(sizes.iter().all(|size| *size <= most), "{sizes:?}");
    assert!(sizes[1..].iter().all(|size| *size > most / 3), "files are used well: {sizes:?}");
    assert!(!dir.path().join("rec.3").exists());
    for name in ["rec", "rec.1", "rec.2"] {
        let words = words(&dir.path().join(name));
        assert_eq!(words[..2], ["header", "whole"], "{name}");
        assert!(!words.iter().any(|word| word.starts_with("gap")), "{name}: {words:?}");
    }
    assert_eq!(*told.borrow(), [None], "nothing went wrong");
}

#[test]
fn what_cannot_be_written_is_said_once_and_recording_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("later");
    let path = folder.join("rec");
    let wanted = Arc::new(AtomicBool::new(true));
    let told = RefCell::new(Vec::new());
    let mut writer = Writer::new(path.clone(), &settings(1 << 20), header(), wanted.clone(), |problem| told.borrow_mut().push(problem));
    let mut ticker = Ticker::new();
    for second in 1..30 {
        if second == 15 {
            std::fs::create_dir(&folder).unwrap();
        }
        let whole = wanted.swap(false, Ordering::Relaxed);
        writer.take(job(ticker.tick(snapshot(second, 500), whole)), at(second));
        writer.flush_if_due(at(second));
    }
    writer.flush();
    let words = words(&path);
    assert!(words[0] == "header" && words[1].starts_with("gap ") && words[2] == "whole", "{words:?}");
    assert!(words[3..].iter().all(|word| word == "tick"), "{words:?}");
    let told = told.into_inner();
    assert!(matches!(&told[..], [Some(problem), None] if problem.contains("rec.lock")), "{told:?}");
}
