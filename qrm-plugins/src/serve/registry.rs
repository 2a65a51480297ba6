//! Where plugins in other processes register, in the manner of kubelet's for resource plugins.

mod wire;

pub(super) use wire::{allocated, allocations, hints, options, request};

use super::door::is_trusted;
use super::endpoint::{Client, Dial};
use super::serving::{self, Bounds, Serving};
use super::socket::{ServeError, own_user};
use crate::remote::{Answer, CallId};
use crate::{PluginOptions, is_own_resource};
use gleaner_crds::keys::{plugin_version, resource, socket};
use gleaner_crds::resourceplugin::registration_server::{Registration, RegistrationServer};
use gleaner_crds::resourceplugin::{Empty, RegisterRequest};
use gleaner_model::ResourceName;
use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

/// Resources that plugins may register for, at most, while the registry is served.
const RESOURCES: usize = 64;

/// What happened with a plugin in another process.
#[derive(Debug)]
pub enum PluginEvent {
    /// A plugin registered; an earlier one for this resource is not to be asked any more.
    Registered {
        /// What it is for.
        resource: ResourceName,
        /// What it wants of its caller, if it said so.
        options: Option<PluginOptions>,
        /// By which it is asked. Dropped, it hangs up.
        client: Client,
    },
    /// A call came to its end.
    Answered {
        /// Whose plugin was asked.
        resource: ResourceName,
        /// Which call it was.
        id: CallId,
        /// What came of it.
        answer: Answer,
    },
}

/// Serves the registration of plugins on `folder/kubelet.sock`, the name that plugins know. Registrations, and answers of registered plugins, go to
/// `events`; each call has `deadline` for its answer. Must be called inside a tokio runtime.
///
/// # Errors
/// As for [`super::serve`].
pub async fn serve_registry(folder: &Path, deadline: Duration, events: mpsc::Sender<PluginEvent>) -> Result<Serving, ServeError> {
    let (folder, own, known) = (folder.to_owned(), own_user()?, Mutex::default());
    let path = folder.join(socket::KUBELET);
    let desk = Registry { folder, own, deadline, events, known };
    Serving::start(&path, Bounds::default(), serving::server().add_service(RegistrationServer::new(desk))).await
}

struct Registry {
    folder: PathBuf,
    own: u32,
    deadline: Duration,
    events: mpsc::Sender<PluginEvent>,
    known: Mutex<BTreeSet<ResourceName>>,
}

#[tonic::async_trait]
impl Registration for Registry {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        let RegisterRequest { version, endpoint, resource_name, options: told } = request.into_inner();
        if version != plugin_version::V1ALPHA1 {
            return Err(Status::invalid_argument(format!("version {version:?} is not known here, only {}", plugin_version::V1ALPHA1)));
        }
        let resource = foreign(&resource_name).map_err(|e| Status::invalid_argument(format!("resource_name: {e}")))?;
        let options = told.as_ref().map(options).transpose().map_err(|e| Status::invalid_argument(format!("options: {e}")))?;
        let path = self.socket(&endpoint).map_err(|e| Status::invalid_argument(format!("endpoint {endpoint:?}: {e}")))?;
        self.count(&resource)?;
        let dial = Dial::new(path, self.own);
        let client = Client::start(dial, resource.clone(), self.deadline, self.events.clone());
        let event = PluginEvent::Registered { resource, options, client };
        let busy = |_| Status::unavailable("the agent is busy or stopping; register again");
        self.events.send_timeout(event, self.deadline).await.map_err(busy)?;
        Ok(Response::new(Empty {}))
    }
}

impl Registry {
    /// The socket that a plugin named: its own, in this folder, and of somebody who may have one here.
    fn socket(&self, name: &str) -> Result<PathBuf, String> {
        let plain =
            name.strip_suffix(".sock").is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.') && !name.contains(['/', '\0']));
        if !plain {
            return Err(format!("is not the plain name of a socket in {}, ending in .sock", self.folder.display()));
        }
        if name == socket::KUBELET {
            return Err("is the socket of this very registry".to_owned());
        }
        let path = self.folder.join(name);
        let found = path.symlink_metadata().map_err(|e| format!("{}: {e}", path.display()))?;
        if !found.file_type().is_socket() {
            return Err("is no socket; links are not followed".to_owned());
        }
        if !is_trusted(found.uid(), self.own) {
            return Err(format!("belongs to user {}, and must to root or user {}", found.uid(), self.own));
        }
        Ok(path)
    }

    /// Bounds how many resources there are.
    fn count(&self, resource: &ResourceName) -> Result<(), Status> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= RESOURCES && !known.contains(resource) {
            return Err(Status::resource_exhausted(format!("plugins for {RESOURCES} resources have registered, which is the most")));
        }
        known.insert(resource.clone());
        Ok(())
    }
}

/// A resource that others may give out.
fn foreign(name: &str) -> Result<ResourceName, String> {
    let ours = || format!("{name:?} is given out by the agent itself");
    if matches!(name, resource::CPU | resource::MEMORY) {
        return Err(ours());
    }
    let name: ResourceName = name.parse().map_err(|e: gleaner_model::ValueError| e.to_string())?;
    if is_own_resource(&name) { Err(ours()) } else { Ok(name) }
}
