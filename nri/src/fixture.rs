//! The runtime's side of the wire, written by hand and apart from the code that it tests, with the runtime's own weakness: it stops reading when a frame
//! holds a header and too much of a body.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_crds::nri as wire;
use prost::Message;

/// A message of the plugin, or of the runtime to us, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) stream: u32,
    pub(crate) call: u32,
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The payload of a response, or code and text of its status.
    pub(crate) fn outcome(&self) -> Result<Vec<u8>, (i32, String)> {
        assert_eq!((self.stream, self.kind), (1, 2), "a response on the plugin's stream: {self:?}");
        let response = RawResponse::decode(self.body.as_slice()).unwrap();
        response.status.map_or(Ok(response.payload), |status| Err((status.code, status.message)))
    }

    /// The payload of a success as a message.
    pub(crate) fn payload<M: Message + Default>(&self) -> M {
        M::decode(self.outcome().unwrap().as_slice()).unwrap()
    }

    /// Service, method and payload of a request.
    pub(crate) fn request(&self) -> (String, String, Vec<u8>) {
        assert_eq!((self.stream, self.kind), (2, 1), "a request on the runtime's stream: {self:?}");
        let request = RawRequest::decode(self.body.as_slice()).unwrap();
        (request.service, request.method, request.payload)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawRequest {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(string, tag = "2")]
    method: String,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    timeout_nano: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<RawStatus>,
    #[prost(bytes = "vec", tag = "2")]
    payload: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Frames as the runtime writes them: one of 4096 bytes at most, then one with all the rest.
fn framed(stream: u32, call: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    let message = [&length.to_be_bytes()[..], &call.to_be_bytes(), &[kind, 0], body].concat();
    let (first, rest) = message.split_at(message.len().min(4096));
    let frames = [first, rest].into_iter().filter(|part| !part.is_empty());
    frames.flat_map(|part| [&stream.to_be_bytes()[..], &u32::try_from(part.len()).unwrap().to_be_bytes(), part].concat()).collect()
}

/// A call of the runtime.
pub(crate) fn call(number: u32, method: &str, message: &impl Message) -> Vec<u8> {
    call_within(number, method, message, 1_999_000_000)
}

/// A call of the runtime with its own limit of time.
pub(crate) fn call_within(number: u32, method: &str, message: &impl Message, timeout_nano: i64) -> Vec<u8> {
    let service = "nri.pkg.api.v1alpha1.Plugin".to_owned();
    let request = RawRequest { service, method: method.to_owned(), payload: message.encode_to_vec(), timeout_nano };
    framed(1, number, 1, &request.encode_to_vec())
}

/// The runtime's answer to our first call: empty, as it is on the wire.
pub(crate) fn registered() -> Vec<u8> {
    framed(2, 1, 2, &[])
}

/// The runtime refuses our first call.
pub(crate) fn refused(text: &str) -> Vec<u8> {
    let status = Some(RawStatus { code: 2, message: text.to_owned() });
    framed(2, 1, 2, &RawResponse { status, payload: Vec::new() }.encode_to_vec())
}

/// Whole messages from the front of what the plugin wrote. What is unfinished stays.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Vec<Seen> {
    let number = |from: &[u8], at: usize| u32::from_be_bytes(from[at..at + 4].try_into().unwrap());
    let (mut rest, mut streams) = (bytes.as_slice(), std::collections::BTreeMap::<u32, Vec<u8>>::new());
    while rest.len() >= 8 {
        let length = usize::try_from(number(rest, 4)).unwrap();
        assert!(length <= 4096, "the runtime hangs on a frame of {length} bytes");
        let Some(payload) = rest.get(8..8 + length) else { break };
        streams.entry(number(rest, 0)).or_default().extend(payload);
        rest = &rest[8 + length..];
    }
    let mut seen = Vec::new();
    for (stream, mut bytes) in streams {
        while bytes.len() >= 10 {
            let end = 10 + usize::try_from(number(&bytes, 0)).unwrap();
            // A message that is cut here is read whole the next time.
            let Some(body) = bytes.get(10..end) else { return Vec::new() };
            seen.push(Seen { stream, call: number(&bytes, 4), kind: bytes[8], body: body.to_vec() });
            bytes.drain(..end);
        }
    }
    bytes.drain(..bytes.len() - rest.len());
    seen
}

/// What a runtime of 0.6 says of itself.
pub(crate) fn old_runtime() -> wire::ConfigureRequest {
    wire::ConfigureRequest { runtime_name: "containerd".into(), runtime_version: "1.7.24".into(), ..Default::default() }
}

pub(crate) fn pod(id: &str) -> wire::PodSandbox {
    let linux = wire::LinuxPodSandbox { cgroup_parent: format!("/kubepods/burstable/pod{id}"), ..Default::default() };
    wire::PodSandbox {
        id: id.to_owned(),
        name: "web".into(),
        uid: format!("uid-{id}"),
        namespace: "shop".into(),
        linux: Some(linux),
        ..Default::default()
    }
}

pub(crate) fn container(id: &str, cpus: &str) -> wire::Container {
    let cpu = wire::LinuxCpu { cpus: cpus.to_owned(), ..Default::default() };
    let resources = Some(wire::LinuxResources { cpu: Some(cpu), ..Default::default() });
    let linux = wire::LinuxContainer { resources, cgroups_path: format!("/kubepods/burstable/pods/{id}"), ..Default::default() };
    wire::Container {
        id: id.to_owned(),
        pod_sandbox_id: "s".into(),
        name: "app".into(),
        state: wire::ContainerState::ContainerRunning.into(),
        pid: 7,
        linux: Some(linux),
        ..Default::default()
    }
}

/// An event about a container of pod `s`.
pub(crate) fn about(container: wire::Container) -> wire::ContainerEvent {
    wire::ContainerEvent { pod: Some(pod("s")), container: Some(container) }
}

pub(crate) fn change(event: wire::Event, container: Option<wire::Container>) -> wire::StateChangeEvent {
    wire::StateChangeEvent { event: event.into(), pod: Some(pod("s")), container }
}
