//! A socket that others remove, replace or misuse.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

#[tokio::test]
async fn a_socket_that_was_removed_is_made_anew_and_open_connections_stay() {
    let stage = stage(bounds()).await;
    let mut before = client(&stage.path).await;
    before.get_topology_hints(asked("pod")).await.unwrap();
    fs::remove_file(&stage.path).unwrap();
    eventually("a new caller is answered", || answers(&stage.path)).await;
    before.get_topology_hints(asked("pod")).await.unwrap();
    assert_eq!(*stage.serving.problem().borrow(), None);
}

#[tokio::test]
async fn a_folder_that_was_wiped_is_made_anew_within_a_second() {
    // As it is in use: this is about its time as well.
    let stage = stage(Bounds::default()).await;
    fs::remove_dir_all(stage.path.parent().unwrap()).unwrap();
    let start = tokio::time::Instant::now();
    eventually("a new caller is answered", || answers(&stage.path)).await;
    assert!(start.elapsed() < Duration::from_secs(5), "after {:?}, on a machine however busy", start.elapsed());
    assert_eq!(fs::metadata(stage.path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_in_place_of_the_socket_stays_and_is_told_until_it_is_gone() {
    let stage = stage(bounds()).await;
    let mut problem = stage.serving.problem();
    // At once, so that the socket is not made anew in between.
    let other = stage.folder.path().join("other");
    fs::File::create(&other).unwrap();
    fs::rename(&other, &stage.path).unwrap();
    problem.wait_for(Option::is_some).await.unwrap();
    let told = problem.borrow().clone().unwrap();
    assert!(told.ends_with("something is there that is no socket") && told.contains(SOCKET), "{told}");
    assert!(fs::metadata(&stage.path).unwrap().is_file());
    fs::remove_file(&stage.path).unwrap();
    problem.wait_for(Option::is_none).await.unwrap();
    assert!(answers(&stage.path).await);
}

#[tokio::test]
async fn a_second_server_does_not_take_the_socket_of_the_first() {
    let stage = stage(bounds()).await;
    let inode = fs::metadata(&stage.path).unwrap().ino();
    let folder = stage.path.parent().unwrap();
    let second = serve_within(bounds(), folder, SOCKET, RESOURCE, OPTIONS, Played::new()).await.unwrap_err().to_string();
    assert!(second.ends_with("another process answers there"), "{second}");
    assert_eq!(fs::metadata(&stage.path).unwrap().ino(), inode);
    assert!(answers(&stage.path).await);
}

#[tokio::test]
async fn stopping_and_dropping_remove_the_socket_and_nothing_else() {
    let stopped = stage(bounds()).await;
    let mut client = client(&stopped.path).await;
    client.get_topology_hints(asked("pod")).await.unwrap();
    stopped.serving.stop().await;
    assert!(!stopped.path.exists() && stopped.path.parent().unwrap().is_dir());
    client.get_topology_hints(asked("pod")).await.unwrap_err();

    let dropped = stage(bounds()).await;
    drop(dropped.serving);
    eventually("the socket is gone", || async { !dropped.path.exists() }).await;

    let replaced = stage(bounds()).await;
    let other = replaced.folder.path().join("other");
    fs::File::create(&other).unwrap();
    fs::rename(&other, &replaced.path).unwrap();
    replaced.serving.stop().await;
    assert!(replaced.path.is_file(), "what somebody else put there was removed");
}

/// Connects, says hello, and ends with 10 plus the number of bytes that it was answered, or 3 when it cannot connect.
const HELLO: &str = r#"use IO::Socket::UNIX; $SIG{PIPE} = "IGNORE"; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 3;
    syswrite $s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"; exit(10 + (sysread($s, my $b, 1) || 0))"#;

#[tokio::test]
async fn a_caller_of_another_user_is_hung_up_on_even_when_the_socket_is_open_to_all() {
    const TEST: &str = "a_caller_of_another_user_is_hung_up_on_even_when_the_socket_is_open_to_all";
    let stage = stage(bounds()).await;
    if fs::metadata(&stage.path).unwrap().uid() != 0 {
        eprintln!("SKIP {TEST}: only root can be another user");
        return;
    }
    for (path, mode) in [(stage.folder.path(), 0o755), (stage.path.parent().unwrap(), 0o755), (stage.path.as_path(), 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let hello = |user: u32| {
        let mut perl = Command::new("perl");
        perl.args(["-e", HELLO]).arg(&stage.path).uid(user).gid(user).current_dir("/");
        tokio::task::spawn_blocking(move || perl.status())
    };
    match hello(0).await.unwrap() {
        Ok(status) if status.code() == Some(11) => {}
        other => {
            eprintln!("SKIP {TEST}: perl cannot call the socket: {other:?}");
            return;
        }
    }
    assert_eq!(hello(65534).await.unwrap().unwrap().code(), Some(10), "10: hung up without an answer; 3: not even connected; 11: answered");
}
