//! Callers that name the socket's path as the authority, which no client at hand is willing to do: their bytes are made by hand.

use super::*;
use loona_hpack::{Decoder, Encoder};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A call for hints.
fn call(encoder: &mut Encoder<'_>, stream: u32, authority: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/resourceplugin.v1alpha1.ResourcePlugin/GetTopologyHints"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-first-seen", "yes"),
    ];
    let block = encoder.encode(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let message = asked("pod").encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], &message].concat();
    [frame(HEADERS, END_HEADERS, stream, &block), frame(0, END_STREAM, stream, &body)].concat()
}

/// Headers and trailers of the answer to one stream, or the frame that ended it.
async fn answer(peer: &mut UnixStream, decoder: &mut Decoder<'_>, wanted: u32) -> Vec<(String, String)> {
    let mut all = Vec::new();
    loop {
        let mut head = [0; 9];
        peer.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        peer.read_exact(&mut payload).await.unwrap();
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        assert!(kind != 3 && kind != 7, "frame {kind} of stream {stream} ended it: {payload:?}");
        if kind == HEADERS {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            all.extend(decoder.decode(&payload).unwrap().into_iter().map(|(name, value)| (text(name), text(value))));
            if stream == wanted && flags & END_STREAM != 0 {
                return all;
            }
        }
    }
}

#[tokio::test]
async fn callers_that_send_a_path_an_empty_text_or_an_encoded_path_are_answered() {
    let stage = stage(bounds()).await;
    let path = stage.path.display().to_string();
    for authority in [path.as_str(), "", &path.replace('/', "%2F"), "localhost"] {
        let mut peer = UnixStream::connect(&stage.path).await.unwrap();
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        peer.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat()).await.unwrap();
        // The second call names what the first one entered into the table.
        for stream in [1, 3] {
            peer.write_all(&call(&mut encoder, stream, authority)).await.unwrap();
            let found = answer(&mut peer, &mut decoder, stream).await;
            let has = |name: &str, value: &str| found.iter().any(|(n, v)| n == name && v == value);
            assert!(has(":status", "200") && has("grpc-status", "0"), "{authority:?}, stream {stream}: {found:?}");
        }
    }
}

#[tokio::test]
async fn the_server_announces_the_table_and_the_frames_that_the_rewriting_counts_on() {
    const TABLE: u16 = 1;
    const FRAME: u16 = 5;
    let stage = stage(bounds()).await;
    let mut peer = UnixStream::connect(&stage.path).await.unwrap();
    peer.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat()).await.unwrap();
    let mut head = [0; 9];
    peer.read_exact(&mut head).await.unwrap();
    assert_eq!((head[3], head[4]), (4, 0), "the first frame is none of settings");
    let mut settings = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    peer.read_exact(&mut settings).await.unwrap();
    let announced: BTreeMap<u16, u32> =
        settings.chunks(6).map(|s| (u16::from_be_bytes([s[0], s[1]]), u32::from_be_bytes([s[2], s[3], s[4], s[5]]))).collect();
    assert_eq!((announced.get(&TABLE).unwrap_or(&4096), announced.get(&FRAME).unwrap_or(&16384)), (&4096, &16384), "{announced:?}");
}
