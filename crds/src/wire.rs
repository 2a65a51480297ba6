//! For tests of the wire: a reader of raw protobuf fields that knows no message, and a service that records paths of calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tonic::body::Body;
use tonic::codegen::{Service, http};

/// One field: its number and its content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    /// Wire type 0.
    Number(u64, u64),
    /// Wire type 1, as a double.
    Double(u64, f64),
    /// Wire type 2.
    Bytes(u64, Vec<u8>),
}

/// Fields in the order of the bytes.
pub(crate) fn read_fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = read_number(&mut bytes);
        let number = key >> 3;
        fields.push(match key & 7 {
            0 => Field::Number(number, read_number(&mut bytes)),
            1 => Field::Double(number, f64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = usize::try_from(read_number(&mut bytes)).unwrap();
                Field::Bytes(number, take(&mut bytes, length).to_vec())
            }
            other => panic!("wire type {other} of field {number}"),
        });
    }
    fields
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(length).expect("enough bytes");
    *bytes = rest;
    taken
}

fn read_number(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1).first().copied().unwrap();
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number of more than ten bytes")
}

/// A field that holds `content`.
pub(crate) fn text(number: u64, content: &str) -> Field {
    Field::Bytes(number, content.as_bytes().to_vec())
}

/// A field that holds a true bool.
pub(crate) fn truth(number: u64) -> Field {
    Field::Number(number, 1)
}

/// A field that holds a message.
pub(crate) fn inner(number: u64, message: &impl prost::Message) -> Field {
    Field::Bytes(number, message.encode_to_vec())
}

/// A field that holds one entry of a map of texts: on the wire a message with key 1 and value 2.
pub(crate) fn entry(number: u64, key: &str, value: &str) -> Field {
    let (key_length, value_length) = (u8::try_from(key.len()).unwrap(), u8::try_from(value.len()).unwrap());
    let mut bytes = vec![0x0a, key_length];
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(&[0x12, value_length]);
    bytes.extend_from_slice(value.as_bytes());
    Field::Bytes(number, bytes)
}

/// A field that holds one entry of a map from text to `value`, given as the raw second field.
pub(crate) fn raw_entry(number: u64, key: &str, value: &[u8]) -> Field {
    let mut bytes = vec![0x0a, u8::try_from(key.len()).unwrap()];
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(value);
    Field::Bytes(number, bytes)
}

/// One entry of a map to messages.
pub(crate) fn inner_entry(number: u64, key: &str, message: &impl prost::Message) -> Field {
    let encoded = message.encode_to_vec();
    let mut value = vec![0x12, u8::try_from(encoded.len()).unwrap()];
    value.extend_from_slice(&encoded);
    raw_entry(number, key, &value)
}

/// A map with one entry.
pub(crate) fn one<K: Ord + From<&'static str>, V>(key: &'static str, value: V) -> BTreeMap<K, V> {
    BTreeMap::from([(K::from(key), value)])
}

/// A server that answers nothing and remembers what was called.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

/// The server and its memory.
pub(crate) fn recorder() -> (Recorder, Arc<Mutex<Vec<String>>>) {
    let paths = Arc::new(Mutex::new(Vec::new()));
    (Recorder(Arc::clone(&paths)), paths)
}

impl Service<http::Request<Body>> for Recorder {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.lock().unwrap().push(request.uri().path().to_owned());
        ready(Ok(http::Response::new(Body::empty())))
    }
}

/// Runs a future as far as it goes without waiting; nothing here ever waits.
pub(crate) fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
