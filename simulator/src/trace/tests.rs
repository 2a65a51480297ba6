use super::*;
use proptest::prelude::*;

fn text<'a>(file: &'a str, text: &'a str) -> Text<'a> {
    Text { file, text }
}

fn vms(average: &str, max: &str) -> Result<TraceSet, String> {
    TraceSet::machines("set", text("set_avg.csv", average), text("set_max.csv", max)).map_err(|error| error.to_string())
}

fn load(average: f32, max: f32) -> Option<Load> {
    Some(Load { average, max })
}

#[test]
fn a_pair_of_files_is_one_column_a_machine() {
    let set = vms("a,\"b\"\r\n1.5,2\r\n3,4\r\n\n", "\u{feff}a,b\n10,2\n3,40\n").unwrap();
    assert_eq!((set.kind, set.row_seconds, set.rows()), (Kind::Machines, 300, 2));
    let names: Vec<_> = set.columns.iter().map(|column| column.workload.as_str()).collect();
    assert_eq!(names, ["set/VirtualMachine/a", "set/VirtualMachine/b"]);
    assert_eq!(set.columns[0].rows, [load(1.5, 10.0), load(3.0, 3.0)]);
    assert_eq!(set.columns[1].rows, [load(2.0, 2.0), load(4.0, 40.0)]);
}

#[test]
fn a_hole_in_either_file_stays_a_hole() {
    let set = vms("a,b,c\n1,,3\nNA,2,nan\n", "a,b,c\n1,2,NULL\n1,2,3\n").unwrap();
    let rows: Vec<_> = set.columns.iter().map(|column| column.rows.clone()).collect();
    assert_eq!(rows, [vec![load(1.0, 1.0), None], vec![None, load(2.0, 2.0)], vec![None, None]]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let table = [
        ("a,b\n1,2\n", "a,c\n1,2\n", "set_max.csv line 1: has other columns than set_avg.csv"),
        ("a,b\n1,2\n1\n", "a,b\n1,2\n1,2\n", "set_avg.csv line 3: has 1 cells, the header 2"),
        ("a\n1\n2\n", "a\n1\n", "set_max.csv: has fewer rows than set_avg.csv"),
        ("a\n1\n", "a\n1\n2\n", "set_max.csv: has more rows than set_avg.csv"),
        ("a,b\n1,x\n", "a,b\n1,2\n", "set_avg.csv line 2 column b: \"x\" is no percentage"),
        ("a\n-1\n", "a\n1\n", "set_avg.csv line 2 column a: -1 is not from 0 to 100 percent"),
        ("a\n1\n", "a\n1e30\n", "set_max.csv line 2 column a: 1000000000000000000000000000000 is not from 0 to 100 percent"),
        ("a\n1\n", "a\ninf\n", "set_max.csv line 2 column a: inf is not from 0 to 100 percent"),
        ("a\n5\n", "a\n4.5\n", "set_max.csv line 2 column a: the highest value 4.5 is below the average 5"),
        ("a,a\n5,5\n", "a,a\n5,5\n", "set_avg.csv line 1 column a: is there twice"),
        ("a,\n5,5\n", "a,\n5,5\n", "set_avg.csv line 1: a column has no name"),
        ("a\n", "a\n", "set_avg.csv: has no rows"),
        ("", "", "set_avg.csv line 1: a column has no name"),
    ];
    for (average, max, expected) in table {
        assert_eq!(vms(average, max).unwrap_err(), expected, "{average:?} {max:?}");
    }
    let slash = vms("a/b\n1\n", "a/b\n1\n").unwrap_err();
    assert!(slash.starts_with("set_avg.csv line 1 column a/b: "), "{slash}");
}

#[test]
fn days_of_a_node_follow_each_other_and_a_missing_one_is_a_hole() {
    let (one, two) = ("mem_util_percent,cpu_util_percent\n80,20.5\n80,\n", "cpu_util_percent\n30\n");
    let set = TraceSet::node("farm", &[(5, text("d5", two)), (3, text("d3", one))]).unwrap();
    assert_eq!((set.kind, set.row_seconds, set.rows()), (Kind::Node, 10, 3 * 8640));
    let rows = &set.columns[0].rows;
    assert_eq!((rows[0], rows[1], rows[2], rows[8640]), (load(20.5, 20.5), None, None, None));
    assert_eq!((rows[2 * 8640], rows[2 * 8640 + 1]), (load(30.0, 30.0), None));
}

#[test]
fn a_day_that_cannot_be_is_refused() {
    let days = |days: &[(u32, Text<'_>)]| TraceSet::node("farm", days).unwrap_err().to_string();
    assert_eq!(days(&[(3, text("d3", "cpu\n1\n"))]), "d3 line 1: has no column cpu_util_percent");
    let day = "cpu_util_percent\n1\n";
    assert_eq!(
        days(&[(3, text("d3", day)), (3, text("d03", day))]),
        "d03: day 3 is there twice, or more than 31 days after the one before"
    );
    assert!(days(&[(3, text("d3", day)), (u32::MAX, text("far", day))]).starts_with("far: day 4294967295 is"));
    let long = format!("cpu_util_percent\n{}", "1\n".repeat(8641));
    assert_eq!(days(&[(3, text("d3", &long))]), "d3: has more than the 8640 rows of a day");
}

#[test]
fn sets_are_found_by_the_names_of_their_files() {
    let files = ["b_day3.csv.gz", "README.md", "a_max.csv", "a_avg.csv.gz", "b_day4.csv", "_avg.csv", "notes.csv", "b_dayx.csv"];
    let found = sources(&files.map(str::to_owned)).unwrap();
    let expected = [
        Source::Machines { name: "a".to_owned(), average: "a_avg.csv.gz".to_owned(), max: "a_max.csv".to_owned() },
        Source::Node { name: "b".to_owned(), days: vec![(3, "b_day3.csv.gz".to_owned()), (4, "b_day4.csv".to_owned())] },
    ];
    assert_eq!(found, expected);
    for files in
        [vec!["a_avg.csv"], vec!["a_max.csv"], vec!["a_avg.csv", "a_avg.csv.gz", "a_max.csv"], vec!["a_avg.csv", "a_max.csv", "a_day1.csv"]]
    {
        let files: Vec<String> = files.into_iter().map(str::to_owned).collect();
        let error = sources(&files).unwrap_err().to_string();
        assert!(error.starts_with("a: a set is one file a_avg.csv and one a_max.csv"), "{files:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(average in "[a-c,\"\n\r.0-9NA-]{0,60}", max in "[a-c,\"\n\r.0-9NA-]{0,60}") {
        let _ = vms(&average, &max);
        let _ = TraceSet::node("x", &[(0, text("x", &average)), (1, text("y", &max))]);
    }
}
