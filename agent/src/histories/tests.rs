use super::*;
use gleaner_estimator::{HistorySettings, Minute};
use gleaner_model::MilliCpu;
use std::io::Write;

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

fn wall(second: u64) -> Option<WallTime> {
    Some(WallTime::from_unix(1_700_000_000 + second))
}

/// Histories of this many minutes of one region and these many containers of workloads.
fn histories(minutes: u64, workloads: u64) -> Histories {
    let (mut histories, settings) = (Histories::default(), HistorySettings::default());
    let region = "share".parse().unwrap();
    let keys: Vec<_> = (0..workloads).map(|n| (format!("ns/Deployment/web-{n}").parse().unwrap(), "main".parse().unwrap())).collect();
    for minute in 0..minutes {
        let (now, date) = (at(minute * 60), wall(minute * 60));
        histories.observe_region(&region, (now, date), MilliCpu::new(500 + minute), MilliCpu::new(4000), &settings);
        for (n, key) in (0..).zip(&keys) {
            let minute = Minute { at: now, wall: date, peak: 100 + n * 7 + u32::try_from(minute).unwrap() * 13 % 1000, mean: 80 };
            histories.observe_workload(key, &minute, &settings);
        }
    }
    histories
}

#[test]
fn histories_outlive_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.json");
    assert_eq!(load(&path, "m", at(0), wall(0)), (Histories::default(), None));
    let histories = histories(90, 2);
    let mut file = HistoryFile::new(path.clone(), "m".to_owned(), at(0));
    file.last(&histories, at(5400), wall(5400)).unwrap().write().unwrap();
    assert_eq!(load(&path, "m", at(5400), wall(5400)), (histories.clone(), None));
    let (later, line) = load(&path, "m", at(3), wall(9000));
    assert_eq!((later.workloads.len(), line), (2, None), "another boot");
    assert_eq!(later, Histories::restore(histories.save(at(5400), wall(5400)), at(3), wall(9000)));
}

#[test]
fn it_is_written_every_five_minutes_if_something_was_added() {
    let mut file = HistoryFile::new(PathBuf::from("unused"), "m".to_owned(), at(100));
    let (one, two) = (histories(2, 1), histories(3, 1));
    let table = [
        (399, &one, false, "too early"),
        (400, &one, true, "first"),
        (500, &two, false, "too early again"),
        (700, &two, true, "something was added"),
        (1001, &two, false, "nothing was added"),
    ];
    for (second, histories, written, why) in table {
        assert_eq!(file.due(histories, at(second), None).is_some(), written, "{second} s: {why}");
    }
    assert!(file.last(&two, at(1002), None).is_none(), "nothing was added");
    file.failed();
    assert!(file.due(&two, at(1300), None).is_none(), "the pause holds for failures too");
    assert!(file.last(&two, at(1300), None).is_some(), "the disk does not hold it");
    assert!(HistoryFile::new(PathBuf::new(), String::new(), at(0)).last(&Histories::default(), at(9), None).is_none(), "nothing to write");
}

#[test]
fn a_useless_file_is_set_aside_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.json");
    HistoryFile::new(path.clone(), "m".to_owned(), at(0)).last(&histories(3, 1), at(200), wall(200)).unwrap().write().unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    for (content, part) in [
        (good.replace("\"machine\":\"m\"", "\"machine\":\"x\""), "of another machine"),
        (good.replace("\"version\":1", "\"version\":9"), "has version 9, not 1"),
        (good[..good.len() / 2].to_owned(), "is damaged"),
        (good.replace("\"peaks\"", "\"unknown\""), "is damaged"),
        (String::new(), "is damaged"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.json");
        std::fs::File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
        let (found, line) = load(&path, "m", at(300), wall(300));
        assert!(found == Histories::default() && line.as_deref().unwrap_or_default().contains(part), "{part}: {line:?}");
        assert_eq!(load(&path, "m", at(300), wall(300)).1, None, "it is out of the way");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "it is kept");
    }
}

#[test]
fn a_folder_in_its_place_or_a_missing_folder_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (found, line) = load(dir.path(), "m", at(0), None);
    assert!(found == Histories::default() && line.as_deref().unwrap_or_default().contains("is not a regular file"), "{line:?}");
    let mut file = HistoryFile::new(dir.path().join("no/history.json"), "m".to_owned(), at(0));
    let error = file.last(&histories(2, 0), at(200), None).unwrap().write().unwrap_err().to_string();
    assert!(error.contains("history.json"), "{error}");
}

/// How many bytes a thousand of them take in the file; the time is a matter for benches.
#[test]
fn a_thousand_containers_fit_well_into_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.json");
    HistoryFile::new(path.clone(), "m".to_owned(), at(0)).last(&histories(120, 1000), at(7200), wall(7200)).unwrap().write().unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < LARGEST / 8, "{bytes} bytes");
    assert_eq!(load(&path, "m", at(7200), wall(7200)).0.workloads.len(), 1000);
}
