#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

/// An empty SETTINGS frame, as every HTTP/2 connection begins with, and a PING.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

#[tokio::test]
async fn a_connection_ends_with_its_caller_however_much_the_other_side_sends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let busy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(SETTINGS).await.unwrap();
        while stream.write_all(PING).await.is_ok() {}
    });
    let (channel, hang_up) = dial(&path).unwrap();
    let mut plugin = ResourcePluginClient::new(channel);
    let answer = timeout(Duration::from_millis(200), plugin.get_resource_plugin_options(proto::Empty {})).await;
    assert!(answer.is_err(), "it never answers: {answer:?}");
    drop((plugin, hang_up));
    timeout(Duration::from_secs(30), busy).await.expect("the connection ends").unwrap();
}
