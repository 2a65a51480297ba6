//! `gleaner simulate` as a person runs it, on the small made-up traces of `tests/data/traces` and on wrong ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use flate2::Compression;
use flate2::write::GzEncoder;
use gleaner_tests::program;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Nodes that are simulated in a moment, unless a test asks for others.
const SMALL: [[&str; 2]; 4] = [["--cores", "8"], ["--reserve", "1"], ["--nodes", "2"], ["--warm-up", "6h"]];

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/traces")
}

fn simulate(traces: &Path, more: &[&str]) -> Output {
    let small = SMALL.iter().filter(|[flag, _]| !more.contains(flag)).flatten();
    Command::new(program("gleaner")).arg("simulate").arg("--traces").arg(traces).args(small).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn done(traces: &Path, more: &[&str]) -> String {
    let output = simulate(traces, more);
    assert!(output.status.success() && output.stderr.is_empty(), "{more:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn json(more: &[&str]) -> Value {
    serde_json::from_str(&done(&traces(), &[more, &["--json"]].concat())).unwrap()
}

/// The one line of a command that failed, and its status.
#[track_caller]
fn refused(traces: &Path, more: &[&str]) -> (String, Option<i32>) {
    let output = simulate(traces, more);
    let line = text(&output.stderr);
    assert!(!output.status.success() && line.lines().count() == 1 && output.stdout.is_empty(), "{more:?}: {line}{}", text(&output.stdout));
    (line.trim_end().to_owned(), output.status.code())
}

/// The small set: averages and highest values. Machine `vmN` is busy around noon of a clock that is four hours ahead of that of the machine before, each day the same, and
/// idle at its night; bursts and noise come from a linear congruential generator (Knuth's MMIX constants) that starts at 2. `vm5` has two hours of holes.
fn tide() -> (String, String) {
    const MACHINES: u64 = 6;
    const ROWS_OF_A_DAY: u64 = 288;
    let mut state = 2u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let names = (0..MACHINES).map(|machine| format!("vm{machine}")).collect::<Vec<_>>().join(",");
    let (mut averages, mut maxima) = (format!("{names}\n"), format!("{names}\n"));
    for row in 0..2 * ROWS_OF_A_DAY {
        let (mut average, mut max) = (Vec::new(), Vec::new());
        for machine in 0..MACHINES {
            let hour_of = (row + machine * ROWS_OF_A_DAY / MACHINES) % ROWS_OF_A_DAY;
            // A triangle: 0 at midnight, 144 at noon. In tenths of a percent.
            let height = hour_of.min(ROWS_OF_A_DAY - hour_of);
            let busy = 20 + height * (1 + machine % 3) + below(30);
            let highest = (busy + 10 + below(60) + if below(20) == 0 { 300 } else { 0 }).min(1000);
            let hole = machine == 5 && (300..324).contains(&row);
            let cell = |tenths: u64| if hole { "NA".to_owned() } else { format!("{}.{}", tenths / 10, tenths % 10) };
            average.push(cell(busy));
            max.push(cell(highest));
        }
        writeln!(averages, "{}", average.join(",")).unwrap();
        writeln!(maxima, "{}", max.join(",")).unwrap();
    }
    (averages, maxima)
}

fn file(folder: &Path, name: &str, content: &str) {
    File::create(folder.join(name)).unwrap().write_all(content.as_bytes()).unwrap();
}

fn packed(folder: &Path, name: &str, content: &str) {
    let mut packer = GzEncoder::new(File::create(folder.join(name)).unwrap(), Compression::fast());
    packer.write_all(content.as_bytes()).unwrap();
    packer.finish().unwrap();
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, content)| file(folder.path(), name, content));
    folder
}

#[test]
fn the_small_set_is_what_its_function_makes() {
    let (average, max) = tide();
    for (name, made) in [("tide_avg.csv", average), ("tide_max.csv", max)] {
        let kept = fs::read_to_string(traces().join(name)).unwrap();
        let differ = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
        assert!(kept == made, "{name} differs from what tide() makes, first in line {:?}", differ.map(|line| line + 1));
    }
}

#[test]
fn the_table_has_a_row_a_policy_and_says_what_was_simulated() {
    let told = done(&traces(), &["--policy", "usage-margin", "--policy", "canonical"]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "nodes of 8 CPUs, reserve 1, seed 1, all columns, step 1s, delay 2s, horizon 1h, machines stay", "{told}");
    assert!(
        lines[2].starts_with("tide: 2 nodes, ") && lines[2].contains(" 4.0 node-days; the first 6h of each node is not scored"),
        "{told}"
    );
    let columns: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(columns, ["POLICY", "MARGIN", "LENT", "VIOLATION", "WORST", "CUT", "EVICTIONS", "CHANGES/H", "USED"], "{told}");
    let policies: Vec<&str> = lines[4..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(policies, ["canonical", "usage-margin"], "{told}");
}

#[test]
fn a_hole_is_not_scored_and_counted() {
    // 24 rows of 5 minutes of vm5, on each node that has it, once.
    let report = json(&["--policy", "canonical", "--nodes", "6"]);
    let unknown = report["sets"][0]["rows"][0]["unknownMinutes"].as_f64().unwrap();
    assert!(unknown > 0.0 && unknown % 120.0 == 0.0, "{unknown} minutes: {report}");
    let told = done(&traces(), &["--policy", "canonical", "--nodes", "6"]);
    assert!(told.contains(&format!("nor are {unknown:.1} min with a hole in a trace")), "{told}");
}

#[test]
fn figures_are_in_their_bounds_and_used_is_what_was_there_and_what_was_lent() {
    let report = json(&[]);
    let rows = report["sets"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 7, "{report}");
    for row in rows {
        let figure = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("no {name}: {row}"));
        assert!((0.0..=100.0).contains(&figure("violationPercent")) && (0.0..=8.0).contains(&figure("worstCut")), "{row}");
        assert!(figure("usedBefore") > 5.0 && figure("usedAfter") >= figure("usedBefore") && figure("usedAfter") < 100.0, "{row}");
        assert!((figure("lentPercent") - 100.0 * figure("lentHours") / figure("clairvoyantHours")).abs() < 1e-6, "{row}");
        // Two nodes of two days less 6 hours each, less what is unknown.
        let hours = 84.0 - figure("unknownMinutes") / 60.0;
        assert!((figure("usedAfter") - figure("usedBefore") - 100.0 * figure("lentHours") / (8.0 * hours)).abs() < 1e-6, "{row}");
    }
}

#[test]
fn the_same_command_gives_the_same_report_however_many_threads_there_are() {
    let with = |more: &[&str]| json(&[&["--nodes", "4", "--days", "1", "--policy", "composite", "--lifetime", "1"], more].concat());
    let one = with(&["--threads", "1"]);
    assert_eq!(one, with(&["--threads", "3"]));
    assert_eq!(one, with(&[]));
    assert_ne!(one["sets"], with(&["--seed", "2"])["sets"]);
    assert_ne!(one["sets"], with(&["--split", "odd"])["sets"]);
}

#[test]
fn a_sweep_has_all_margins_of_a_policy_and_marks_the_configured_one() {
    let swept = json(&["--sweep", "--policy", "usage-margin", "--days", "1"]);
    let rows = swept["sets"][0]["rows"].as_array().unwrap();
    let chosen: Vec<&Value> = rows.iter().filter(|row| row["chosen"] == true).collect();
    assert!(rows.len() > 4 && chosen.len() == 1, "{rows:?}");
    let alone = json(&["--policy", "usage-margin", "--days", "1"]);
    assert_eq!(chosen[0], &alone["sets"][0]["rows"][0], "the same as without a sweep");
}

#[test]
fn steps_of_five_minutes_and_other_horizons_are_scored_too() {
    let coarse = json(&["--policy", "canonical", "--step", "300"]);
    let average = json(&["--policy", "canonical", "--step", "300", "--step-demand", "average"]);
    let used = |report: &Value| report["sets"][0]["rows"][0]["usedBefore"].as_f64().unwrap();
    assert!(used(&coarse) > used(&average), "{coarse} {average}");
    let lent = |horizon: &str| json(&["--policy", "canonical", "--step", "300", "--horizon", horizon])["sets"][0]["rows"][0].clone();
    let hours: Vec<f64> = ["5m", "6h", "lifetime"].map(|horizon| lent(horizon)["clairvoyantHours"].as_f64().unwrap()).to_vec();
    assert!(hours[0] > hours[1] && hours[1] > hours[2], "who looks further lends less: {hours:?}");
}

#[test]
fn packed_traces_give_the_same_and_a_trace_of_a_node_is_one_node() {
    let (average, max) = tide();
    let folder = tempfile::tempdir().unwrap();
    packed(folder.path(), "tide_avg.csv.gz", &average);
    packed(folder.path(), "tide_max.csv.gz", &max);
    file(folder.path(), "notes.txt", "no trace");
    let few = ["--policy", "canonical", "--days", "1"];
    assert_eq!(done(folder.path(), &few), done(&traces(), &few));
    let day: String = (0..8640).map(|row| format!("{}.5,80\n", 20 + row % 40)).collect();
    packed(folder.path(), "whole_day1.csv.gz", &format!("cpu_util_percent,mem_util_percent\n{day}"));
    let told = done(folder.path(), &[&few[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&told).unwrap();
    let sets: Vec<(&str, u64)> =
        report["sets"].as_array().unwrap().iter().map(|set| (set["name"].as_str().unwrap(), set["nodes"].as_u64().unwrap())).collect();
    assert_eq!(sets, [("tide", 2), ("whole", 1), ("all sets", 3)]);
}

/// Whether every element that begins ends, and one holds all others.
fn is_whole(svg: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or("");
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) if open.pop() != Some(name) => return false,
            (true, _) | (false, true) => {}
            (false, false) => open.push(name),
        }
    }
    open.is_empty() && svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>")
}

#[test]
fn pictures_are_whole_and_name_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("new/plots");
    done(&traces(), &["--sweep", "--policy", "composite", "--policy", "canonical", "--days", "1", "--plot", into.to_str().unwrap()]);
    let mut names: Vec<String> = fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["curves-tide.svg", "days-tide.svg"]);
    for name in names {
        let svg = fs::read_to_string(into.join(&name)).unwrap();
        assert!(is_whole(&svg), "{name}: {svg}");
        assert!(["tide", "composite", "canonical"].iter().all(|part| svg.contains(part)) && svg.contains("<polyline"), "{name}: {svg}");
    }
}

#[test]
fn what_the_command_line_asks_for_and_cannot_be_is_one_line_with_status_64() {
    let (line, code) = refused(&traces(), &["--policy", "cannonical"]);
    let names = "canonical, usage-margin, n-sigma, percentile, seasonal, feedback, composite";
    assert_eq!(line, format!("gleaner: there is no policy \"cannonical\"; there are {names}"));
    assert_eq!(code, Some(64));
    let (line, code) = refused(&traces(), &["--reserve", "9"]);
    assert_eq!((line.as_str(), code), ("gleaner: --reserve: 9 leaves nothing of 8 CPUs to lend", Some(64)));
    let (line, code) = refused(&traces(), &["--step", "0"]);
    assert_eq!((line.as_str(), code), ("gleaner: --step: 0 is not from 1 to 3600", Some(64)));
    let wrong_split = simulate(&traces(), &["--split", "half"]);
    assert_eq!(wrong_split.status.code(), Some(64), "{}", text(&wrong_split.stderr));
}

#[test]
fn a_folder_without_traces_is_one_line() {
    let empty = folder(&[("README.md", "nothing")]);
    let (line, code) = refused(empty.path(), &[]);
    assert!(line.contains("holds no traces: no NAME_avg.csv with NAME_max.csv and no NAME_dayN.csv"), "{line}");
    assert_eq!(code, Some(1));
    let (line, _) = refused(&empty.path().join("gone"), &[]);
    assert!(line.starts_with("gleaner: read ") && line.contains("No such file"), "{line}");
}

#[test]
fn a_fifo_is_no_trace_and_is_not_waited_for() {
    let folder = folder(&[("x_max.csv", "a\n1\n")]);
    nix::unistd::mkfifo(&folder.path().join("x_avg.csv"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (line, status) = refused(folder.path(), &[]);
    assert!(line.contains("x_avg.csv: is not a regular file") && status == Some(1), "{line} {status:?}");
}

#[test]
fn a_wrong_trace_is_named_with_its_line_and_column() {
    let table = [
        ("a,b\n1,2\n3,x\n", "a,b\n1,2\n3,4\n", "gleaner: t_avg.csv line 3 column b: \"x\" is no percentage"),
        ("a,b\n1,2\n", "a,b\n1,1.5\n", "gleaner: t_max.csv line 2 column b: the highest value 1.5 is below the average 2"),
        ("a\n1\n", "a\n101\n", "gleaner: t_max.csv line 2 column a: 101 is not from 0 to 100 percent"),
        ("a\n1\n1\n", "a\n1\n", "gleaner: t_max.csv: has fewer rows than t_avg.csv"),
        ("a\n1\n", "a\n1\n", "gleaner: t: nodes of it last 0 h, and --warm-up takes 6 h"),
    ];
    for (average, max, expected) in table {
        let wrong = folder(&[("t_avg.csv", average), ("t_max.csv", max)]);
        assert_eq!(refused(wrong.path(), &[]), (expected.to_owned(), Some(1)));
    }
    let half = folder(&[("t_avg.csv", "a\n1\n")]);
    let (line, _) = refused(half.path(), &[]);
    assert!(line.contains("t: a set is one file t_avg.csv and one t_max.csv, or files t_dayN.csv; there are 1, 0 and 0"), "{line}");
    let damaged = folder(&[("t_avg.csv.gz", "this is not packed"), ("t_max.csv", "a\n1\n")]);
    let (line, _) = refused(damaged.path(), &[]);
    assert!(line.contains("t_avg.csv.gz: ") && line.starts_with("gleaner: read "), "{line}");
}
