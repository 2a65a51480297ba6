//! Synchronize: what exists, whole or in parts.

use super::connection::{Connection, Failure};
use super::core::Core;
use super::log::Entry;
use super::options::Version;
use super::session::describe;
use super::ttrpc::{LARGEST, Status, code};
use gleaner_crds::nri::{Container, ContainerUpdate, PodSandbox, SynchronizeRequest, SynchronizeResponse};
use gleaner_host::clock;
use gleaner_model::Timestamp;
use prost::Message;

/// The fewest objects that are still divided.
const FEWEST: usize = 8;

/// Tells a plugin what exists, made so many bytes longer. Returns the updates that it wants.
///
/// # Errors
/// Why the plugin is not added.
pub(super) fn send(
    core: &Core,
    connection: &Connection,
    existing: (Vec<PodSandbox>, Vec<Container>),
    ballast: usize,
) -> Result<Vec<ContainerUpdate>, String> {
    let (mut pods, mut containers) = existing;
    load(&mut pods, &mut containers, ballast);
    let until = clock::now().after(core.limits.request);
    let answer = parts(core, connection, pods, containers, until);
    let outcome = answer.as_ref().err().map_or("ok", String::as_str).to_owned();
    let (plugin, method) = (connection.label(), "Synchronize".to_owned());
    core.log.add(Entry::Called { plugin, method, subject: String::new(), outcome });
    answer
}

/// Makes the messages so much longer; real ones have mounts and environments.
fn load(pods: &mut [PodSandbox], containers: &mut [Container], ballast: usize) {
    let each = ballast.div_ceil(containers.len().max(1));
    for container in containers.iter_mut().filter(|_| ballast > 0) {
        container.annotations.insert("example.com/ballast".to_owned(), "x".repeat(each));
    }
    if let (true, Some(pod)) = (containers.is_empty() && ballast > 0, pods.first_mut()) {
        pod.annotations.insert("example.com/ballast".to_owned(), "x".repeat(ballast));
    }
}

/// All parts within one time limit. A part that proves too large is made smaller, the number of pods and of containers by the same factor and
/// rounded down: of a single pod none is left, it is never sent, and empty parts follow until the time is over. The real one has that defect.
fn parts(
    core: &Core,
    connection: &Connection,
    mut pods: Vec<PodSandbox>,
    mut containers: Vec<Container>,
    until: Timestamp,
) -> Result<Vec<ContainerUpdate>, String> {
    let (mut some_pods, mut some_containers) = (pods.len(), containers.len());
    loop {
        let more = pods.len() > some_pods || containers.len() > some_containers;
        let request = SynchronizeRequest { pods: pods[..some_pods].to_vec(), containers: containers[..some_containers].to_vec(), more };
        let size = request.encoded_len();
        match part(connection, &request, until) {
            Ok(response) if !more => return Ok(response.update),
            Ok(response) if !response.update.is_empty() || !response.more => {
                let why = "plugin does not handle split sync requests";
                core.log.violation(format!("{}: answers a part of Synchronize as if it were the last", connection.label()));
                core.close(connection, why);
                return Err(why.to_owned());
            }
            Ok(_) => {
                pods.drain(..some_pods);
                containers.drain(..some_containers);
                some_pods = some_pods.min(pods.len());
                some_containers = some_containers.min(containers.len());
            }
            Err(Failure::Status(Status { code: code::TOO_LARGE, .. })) if core.version > Version::V0_6 => {
                if some_pods + some_containers <= FEWEST {
                    return Err("failed to synchronize plugin with split messages".to_owned());
                }
                some_pods = scaled(some_pods, size);
                some_containers = scaled(some_containers, size);
            }
            // The defect: the plugin has answered all that it was asked.
            Err(Failure::Late) if more && some_pods + some_containers == 0 => return Err("context deadline exceeded".to_owned()),
            Err(failure) => return Err(describe(core, connection, "Synchronize", failure)),
        }
    }
}

/// A count by the factor that a message is too large, at most nine tenths of it.
fn scaled(count: usize, size: usize) -> usize {
    (count * LARGEST / size.max(1)).min(count * 9 / 10)
}

fn part(connection: &Connection, request: &SynchronizeRequest, until: Timestamp) -> Result<SynchronizeResponse, Failure> {
    let left = until.since(clock::now());
    if left.is_zero() {
        return Err(Failure::Late);
    }
    let pending = connection.begin("Synchronize", request.encode_to_vec(), left, false)?;
    let payload = connection.finish(&pending, until)?;
    SynchronizeResponse::decode(payload.as_slice())
        .map_err(|error| Failure::Status(Status::new(code::INVALID, format!("the answer to Synchronize: {error}"))))
}
