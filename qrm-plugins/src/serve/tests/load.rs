//! Many callers, late answers and bad manners.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tonic::Code;

#[tokio::test]
async fn fifty_callers_at_once_are_all_answered() {
    let stage = stage(bounds()).await;
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let path = stage.path.clone();
        callers.spawn(async move {
            let mut client = client(&path).await;
            for _ in 0..4 {
                client.allocate(asked("pod")).await.unwrap();
            }
        });
    }
    assert_eq!(callers.join_all().await.len(), 50);
}

#[tokio::test]
async fn a_decider_that_is_stuck_is_not_waited_for_and_others_are_answered_meanwhile() {
    let stage = stage(Bounds { deadline: Duration::from_millis(300), ..bounds() }).await;
    let mut slow = client(&stage.path).await;
    let mut other = client(&stage.path).await;
    let waiting = tokio::spawn(async move { slow.allocate(asked("slow")).await });
    eventually("the slow call waits", || async { stage.played.waiting.load(Ordering::SeqCst) == 1 }).await;
    other.allocate(asked("pod")).await.unwrap();
    let late = waiting.await.unwrap().unwrap_err();
    assert_eq!((late.code(), late.message()), (Code::Unavailable, "no decision within 300ms; ask again"));
    eventually("the call is dropped", || async { stage.played.waiting.load(Ordering::SeqCst) == 0 }).await;
}

#[tokio::test]
async fn the_decider_is_not_asked_more_than_it_bears_at_once() {
    let stage = stage(Bounds { calls: 3, ..bounds() }).await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let mut client = client(&stage.path).await;
        callers.spawn(async move { client.allocate(asked("slow")).await.map(drop) });
    }
    eventually("three are waiting", || async { stage.played.waiting.load(Ordering::SeqCst) == 3 }).await;
    stage.played.turns.add_permits(8);
    for answer in callers.join_all().await {
        answer.unwrap();
    }
    assert_eq!(stage.played.most_waiting.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_connection_above_the_limit_is_hung_up_on_and_a_place_that_is_left_is_given_again() {
    let stage = stage(Bounds { connections: 2, ..bounds() }).await;
    let silent = [UnixStream::connect(&stage.path).await.unwrap(), UnixStream::connect(&stage.path).await.unwrap()];
    let mut third = UnixStream::connect(&stage.path).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap(), 0, "the third one was let in");
    drop(silent);
    eventually("a caller is let in again", || answers(&stage.path)).await;
}

#[tokio::test]
async fn callers_with_bad_manners_disturb_nobody() {
    let stage = stage(bounds()).await;
    let mut good = client(&stage.path).await;
    let endless =
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 1, 0, 0, 0, 0, 1], &[0, 0, 0, 9, 0, 0, 0, 0, 1].repeat(9000)].concat();
    let broken: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: a.b\r\n\r\n",
        &[0xff; 5000],
        &endless,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x01\x01\x04\0\0\0\x01\xff",
    ];
    let mut half = UnixStream::connect(&stage.path).await.unwrap();
    half.write_all(b"PRI * HT").await.unwrap();
    for sent in broken {
        let mut bad = UnixStream::connect(&stage.path).await.unwrap();
        // The server may hang up before it has read everything.
        let _ = bad.write_all(sent).await;
        let hung_up = tokio::time::timeout(Duration::from_secs(20), bad.read_to_end(&mut Vec::new())).await;
        assert!(hung_up.is_ok(), "still connected after {:?}", &sent[..sent.len().min(30)]);
        good.allocate(asked("pod")).await.unwrap();
    }
    assert_eq!(*stage.serving.problem().borrow(), None);
}

#[tokio::test]
async fn stopping_ends_calls_that_would_not_end_and_peers_that_do_not_hang_up() {
    let stage = stage(Bounds { deadline: Duration::from_millis(300), ..bounds() }).await;
    let mut silent = UnixStream::connect(&stage.path).await.unwrap();
    let mut slow = client(&stage.path).await;
    let waiting = tokio::spawn(async move { slow.allocate(asked("slow")).await });
    eventually("the slow call waits", || async { stage.played.waiting.load(Ordering::SeqCst) == 1 }).await;
    stage.serving.stop().await;
    assert!(!stage.path.exists());
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::Unavailable);
    // What the server said before it hung up is of no interest.
    let hung_up = tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut Vec::new())).await;
    assert!(hung_up.is_ok(), "the silent peer is still connected");
}
