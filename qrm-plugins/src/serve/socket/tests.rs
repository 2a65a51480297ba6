#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::os::unix::net::UnixListener as Listener;
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_socket_and_its_folders_are_for_their_owner_alone() {
    let folder = folder();
    let path = folder.path().join("a/b/x.sock");
    let own = own_user().unwrap();
    let (_listener, identity) = open(&path, own).await.unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(names(path.parent().unwrap()), ["x.sock"]);
    assert_eq!(Identity::of(&path), Some(identity));
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_exists_is_left_as_it_is() {
    let folder = folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o750)).unwrap();
    open(&folder.path().join("x.sock"), own_user().unwrap()).await.unwrap();
    assert_eq!(mode(folder.path()), 0o750);
}

#[tokio::test]
async fn what_a_killed_process_left_is_replaced() {
    let folder = folder();
    for name in ["x.sock", ".x.new"] {
        drop(Listener::bind(folder.path().join(name)).unwrap());
    }
    let (_listener, _) = open(&folder.path().join("x.sock"), own_user().unwrap()).await.unwrap();
    assert_eq!(names(folder.path()), ["x.sock"]);
    UnixStream::connect(folder.path().join("x.sock")).await.unwrap();
}

#[tokio::test]
async fn what_is_not_ours_to_replace_stays() {
    let own = own_user().unwrap();
    for (place, what) in [("x.sock", "file"), ("x.sock", "folder"), ("x.sock", "link"), (".x.new", "file")] {
        let folder = folder();
        let (path, in_the_way) = (folder.path().join("x.sock"), folder.path().join(place));
        match what {
            "file" => drop(fs::File::create(&in_the_way).unwrap()),
            "folder" => fs::create_dir(&in_the_way).unwrap(),
            _ => std::os::unix::fs::symlink("elsewhere", &in_the_way).unwrap(),
        }
        let before = Identity::of(&in_the_way);
        let found = open(&path, own).await.unwrap_err().to_string();
        assert!(found.ends_with("something is there that is no socket"), "{what} at {place}: {found}");
        assert_eq!(Identity::of(&in_the_way), before, "{what} at {place}");
        assert_eq!(names(folder.path()), [place], "{what} at {place}: something was left");
    }
}

#[tokio::test]
async fn a_socket_that_is_in_use_or_of_another_user_stays() {
    let folder = folder();
    let (path, own) = (folder.path().join("x.sock"), own_user().unwrap());
    let living = Listener::bind(&path).unwrap();
    let found = open(&path, own).await.unwrap_err().to_string();
    assert!(found.ends_with("another process answers there"), "{found}");
    drop(living);
    let found = open(&path, own + 1).await.unwrap_err().to_string();
    assert!(found.ends_with(&format!("a socket of user {own} is there")), "{found}");
    assert_eq!(names(folder.path()), ["x.sock"]);
}

#[tokio::test]
async fn a_path_that_is_too_long_is_an_error_that_names_it() {
    let folder = folder();
    let path = folder.path().join("x".repeat(120)).join("x.sock");
    let found = open(&path, own_user().unwrap()).await.unwrap_err().in_one_line();
    assert!(found.starts_with("cannot bind ") && found.contains(".x.new: "), "{found}");
}

#[tokio::test]
async fn only_the_socket_that_was_made_is_removed() {
    let folder = folder();
    let (path, own) = (folder.path().join("x.sock"), own_user().unwrap());
    let (_first, identity) = open(&path, own).await.unwrap();
    fs::remove_file(&path).unwrap();
    let (_second, other) = open(&path, own).await.unwrap();
    remove(&path, identity);
    assert_eq!(names(folder.path()), ["x.sock"], "the second one is gone");
    remove(&path, other);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_temporary_name_is_hidden_no_socket_to_watchers_and_no_longer() {
    for (path, expected) in [("/a/x.sock", ".x.new"), ("/a/x", ".x.new"), ("/a/x.sock.sock", ".x.sock.new")] {
        assert_eq!(temporary_name(Path::new(path)).as_deref(), Some(expected), "{path}");
    }
    assert_eq!(temporary_name(Path::new("/")), None);
}
