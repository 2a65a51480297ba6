use super::*;
use crate::record::fixtures::header;
use crate::record::member::Member;
use gleaner_model::Bytes;
use std::os::unix::fs::symlink;

fn part(lines: &[String]) -> Vec<u8> {
    let mut member = Member::new();
    lines.iter().for_each(|line| member.line(line).unwrap());
    member.finish().unwrap()
}

fn head(format: u32) -> Vec<u8> {
    let header = crate::record::line::Header { record: format, ..header() };
    part(&[serde_json::to_string(&Line::Header(Box::new(header))).unwrap()])
}

fn files(path: &Path, max: u64, keep: u32) -> Files {
    Files::new(path.to_owned(), &RecordSettings { max_size: Bytes::new(max), keep, ..RecordSettings::default() })
}

fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_private_and_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    put(&path, b"");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut one = files(&path, 1 << 20, 1);
    one.open().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let error = files(&path, 1 << 20, 1).open().unwrap_err().to_string();
    assert!(error.contains("held by another gleaner"), "{error}");
    drop(one);
    files(&path, 1 << 20, 1).open().unwrap();
}

#[test]
fn a_writer_whose_folder_was_removed_leaves_the_new_one_to_its_new_writer() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("recordings");
    let path = folder.join("rec");
    fs::create_dir(&folder).unwrap();
    let mut first = files(&path, 1 << 20, 1);
    first.open().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    let mut second = files(&path, 1 << 20, 1);
    second.open().unwrap();
    first.let_go_if_removed();
    let error = first.open().unwrap_err().to_string();
    assert!(error.contains("held by another gleaner"), "{error}");
    drop(second);
    first.open().unwrap();
}

#[test]
fn what_is_no_recording_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    put(&victim, b"root:x:0:0");
    let link = dir.path().join("link");
    symlink(&victim, &link).unwrap();
    let twin = dir.path().join("twin");
    fs::hard_link(&victim, &twin).unwrap();
    let alone = dir.path().join("alone");
    put(&alone, b"some text");
    for (path, part) in
        [(&link, "is a symbolic link"), (&twin, "has other names"), (&alone, "is no recording"), (&dir.path().to_owned(), "open ")]
    {
        let error = files(path, 1 << 20, 1).open().unwrap_err().to_string();
        assert!(error.contains(part), "{}: {error}", path.display());
    }
    assert_eq!((fs::read(&victim).unwrap(), fs::read(&alone).unwrap()), (b"root:x:0:0".to_vec(), b"some text".to_vec()));
}

#[test]
fn what_was_cut_off_is_taken_away_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let (first, second) = (head(1), part(&["a".to_owned()]));
    for cut in 0..second.len() {
        put(&path, &[&first[..], &second[..cut]].concat());
        let mut files = files(&path, 1 << 20, 1);
        files.open().unwrap();
        files.append(&second).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [&first[..], &second[..]].concat(), "cut after {cut} bytes");
    }
    // Cut off in its first part.
    put(&path, &first[..first.len() - 1]);
    let mut files = files(&path, 1 << 20, 1);
    files.open().unwrap();
    assert_eq!(files.length(), Some(0));
}

#[test]
fn a_recording_of_another_format_is_kept_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    put(&path, &head(9));
    let mut files = files(&path, 1 << 20, 2);
    files.open().unwrap();
    assert_eq!((files.length(), fs::read(dir.path().join("rec.1")).unwrap()), (Some(0), head(9)));
}

#[test]
fn so_many_files_are_kept_and_none_is_longer_than_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    for keep in [2, 0] {
        let mut files = files(&path, 100, keep);
        files.open().unwrap();
        for round in 0..5u8 {
            files.append(&[round; 60]).unwrap();
            assert!(matches!(files.append(&[round; 60]), Err(FileError::TooLong(60))));
            files.rotate().unwrap();
        }
    }
    // Those of the first round of this test; without any to keep, the next was removed each time.
    assert_eq!(names(dir.path()), ["rec", "rec.1", "rec.2", "rec.lock"]);
    assert_eq!(fs::read(dir.path().join("rec.1")).unwrap(), [4; 60]);
    assert_eq!(fs::read(dir.path().join("rec.2")).unwrap(), [3; 60]);
}

#[test]
fn a_full_disk_is_an_error_and_nothing_half_written_stays() {
    // A file whose length nobody can change stands for a full disk.
    let mut files = files(Path::new("/dev/full"), 1 << 20, 1);
    files.open = Some(Open { file: OpenOptions::new().write(true).open("/dev/full").unwrap(), length: 0 });
    let error = files.append(b"part").unwrap_err().to_string();
    assert_eq!(error, "write /dev/full: No space left on device (os error 28)");
    assert_eq!(files.length(), None, "it is opened anew");
}
