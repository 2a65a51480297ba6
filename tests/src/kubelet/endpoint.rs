//! A plugin as its caller has it: a socket, a connection that lasts, and typed calls.

use super::connection::{Caller, Connection};
use super::latency::Recorder;
use super::status::Status;
use gleaner_crds::resourceplugin::ResourcePluginOptions;
use gleaner_host::clock;
use prost::Message;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Code;

/// How long any call but the introduction may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// A registered plugin.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) resource: String,
    /// The socket in the watched folder.
    pub(super) socket: PathBuf,
    pub(super) options: ResourcePluginOptions,
    pub(super) endpoint: Endpoint,
}

impl Plugin {
    /// A call of the plugin's own service.
    pub(super) fn call<Q: Message, A: Message + Default>(&self, method: &str, request: &Q) -> Result<A, Status> {
        self.endpoint.call(&format!("/resourceplugin.v1alpha1.ResourcePlugin/{method}"), request, DEADLINE)
    }
}

/// A socket to call.
#[derive(Debug)]
pub(super) struct Endpoint {
    socket: PathBuf,
    caller: Caller,
    link: Mutex<Option<Arc<Connection>>>,
    times: Arc<Mutex<Recorder>>,
}

impl Endpoint {
    pub(super) fn new(socket: &Path, caller: Caller, times: Arc<Mutex<Recorder>>) -> Self {
        Self { socket: socket.to_owned(), caller, link: Mutex::new(None), times }
    }

    pub(super) fn call<Q: Message, A: Message + Default>(&self, path: &str, request: &Q, deadline: Duration) -> Result<A, Status> {
        let from = clock::now();
        let answer = self.link().and_then(|link| link.call(path, &request.encode_to_vec(), deadline));
        self.times.lock().unwrap().record(path, clock::now().since(from));
        A::decode(&answer?[..]).map_err(|e| Status::new(Code::Internal, format!("{path} of {}: {e}", self.socket.display())))
    }

    /// The connection, or a new one when the server ended it.
    fn link(&self) -> Result<Arc<Connection>, Status> {
        let mut link = self.link.lock().unwrap();
        if let Some(open) = link.as_ref().filter(|open| !open.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let fresh = Connection::open(&self.socket, self.caller);
        let fresh = fresh.map_err(|e| Status::unavailable(format!("dial {}: {e}", self.socket.display())))?;
        Ok(Arc::clone(link.insert(Arc::new(fresh))))
    }
}
