#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, oneshot};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, its peer, and what hangs it up.
fn connection() -> (Connection, UnixStream, oneshot::Sender<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (hang_up, hung_up) = oneshot::channel();
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    (Connection::new(ours, Box::pin(async { drop(hung_up.await) }), place), theirs, hang_up)
}

#[tokio::test]
async fn all_that_was_sent_arrives_and_the_end_too() {
    let (mut connection, mut peer, _hang_up) = connection();
    // A frame of data with 60,000 bytes.
    let sent = [PREFACE, &[0, 0xea, 0x60, 0, 0, 0, 0, 0, 1], &[7; 60_000]].concat();
    let expected = sent.clone();
    let sending = tokio::spawn(async move { peer.write_all(&sent).await });
    let mut found = Vec::new();
    connection.read_to_end(&mut found).await.unwrap();
    sending.await.unwrap().unwrap();
    assert!(found == expected, "{} bytes instead of {}", found.len(), expected.len());
}

#[tokio::test]
async fn what_is_written_goes_out_unchanged() {
    let (mut connection, mut peer, _hang_up) = connection();
    connection.write_all(b"anything").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut found = Vec::new();
    peer.read_to_end(&mut found).await.unwrap();
    assert_eq!(found, b"anything");
}

#[tokio::test]
async fn what_is_no_http2_is_an_error() {
    let (mut connection, mut peer, _hang_up) = connection();
    peer.write_all(b"GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").await.unwrap();
    let found = connection.read(&mut [0; 100]).await.unwrap_err();
    assert_eq!((found.kind(), found.to_string()), (io::ErrorKind::InvalidData, "this is no HTTP/2".to_owned()));
}

#[tokio::test]
async fn hanging_up_wakes_who_waits_for_a_silent_peer() {
    let (mut connection, _peer, hang_up) = connection();
    let reading = tokio::spawn(async move { connection.read(&mut [0; 100]).await });
    tokio::task::yield_now().await;
    drop(hang_up);
    assert_eq!(reading.await.unwrap().unwrap(), 0);
}
