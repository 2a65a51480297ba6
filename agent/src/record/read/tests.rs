use super::*;
use crate::record::fixtures::header;
use crate::record::member::Member;
use std::io::Cursor;

fn packed(lines: &[String]) -> Vec<u8> {
    let mut member = Member::new();
    lines.iter().for_each(|line| member.line(line).unwrap());
    member.finish().unwrap()
}

fn lines(file: Vec<u8>) -> Lines<Cursor<Vec<u8>>> {
    Lines::new(Cursor::new(file))
}

fn gap(ticks: u64) -> String {
    format!("{{\"gap\":{ticks}}}")
}

/// All gaps that can be read, and how it ended.
fn gaps(file: Vec<u8>) -> (Vec<u64>, Option<String>) {
    let (mut lines, mut found) = (lines(file), Vec::new());
    loop {
        match lines.next().unwrap() {
            Next::Line(Line::Gap(ticks)) => found.push(ticks),
            Next::Line(other) => panic!("{other:?}"),
            Next::Broken(cause) => return (found, Some(cause)),
            Next::End => return (found, None),
        }
    }
}

#[test]
fn a_file_that_was_cut_off_is_read_up_to_there() {
    let (one, two) = (packed(&[gap(1), gap(2)]), packed(&[gap(3)]));
    assert_eq!(gaps([&one[..], &two[..]].concat()), (vec![1, 2, 3], None));
    for cut in 1..two.len() {
        let (found, broken) = gaps([&one[..], &two[..cut]].concat());
        assert!(found.starts_with(&[1, 2]) && broken.is_some(), "{cut} bytes of the second part: {found:?}, {broken:?}");
    }
}

#[test]
fn a_file_that_was_damaged_is_read_up_to_there() {
    let (one, mut two) = (packed(&[gap(1), gap(2)]), packed(&[gap(3)]));
    let checksum = two.len() - 8;
    two[checksum] ^= 1;
    let (found, broken) = gaps([one, two].concat());
    assert_eq!(found, [1, 2, 3]);
    assert!(broken.is_some());
}

#[test]
fn a_line_that_is_none_of_ours_is_an_error_with_its_number() {
    for (text, part) in
        [("{\"gap\":-1}", "is no line of a recording"), ("", "is no line"), ("{\"gap\":1", "is no line"), ("{}", "is no line")]
    {
        let mut lines = lines(packed(&[gap(1), text.to_owned()]));
        lines.next().unwrap();
        let error = lines.next().unwrap_err();
        assert!(error.contains(part), "{text:?}: {error}");
        assert_eq!(lines.number, 2, "{text:?}");
    }
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    let mut lines = lines(packed(&[" ".repeat(2000)]));
    lines.longest = 1000;
    let error = lines.next().unwrap_err();
    assert!(error.starts_with("is longer than "), "{error}");
}

#[test]
fn another_format_is_told_even_when_nothing_else_of_it_is_known() {
    let mut known = header();
    known.record = 7;
    let text = serde_json::to_string(&Line::Header(Box::new(known.clone()))).unwrap();
    let Next::Line(Line::Header(read)) = lines(packed(&[text])).next().unwrap() else { panic!("no header") };
    let expected = "recorded in format 7, and this gleaner reads format 1";
    assert_eq!(check(&read).unwrap_err(), expected);
    let unknown = "{\"header\":{\"record\":7,\"anything\":true}}".to_owned();
    assert_eq!(lines(packed(&[unknown])).next().unwrap_err(), expected);
}
