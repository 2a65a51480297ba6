//! The resource plugins and the list of pod resources, on unix sockets.
//!
//! This is the edge of the crate: it knows files, sockets and the wire, and decides nothing. What is asked goes to a [`Decider`] as a value, and
//! what comes back goes out as messages.

mod authority;
mod decider;
mod door;
mod endpoint;
mod gate;
mod plugin;
mod podresources;
mod registry;
mod serving;
mod socket;
mod wire;

pub use decider::{ContainerHoldings, Decider, Denied, PodHoldings};
pub use endpoint::{Client, HangUp, dial, in_words};
pub use registry::{PluginEvent, serve_registry};
pub use serving::Serving;

pub use socket::ServeError;
/// For implementations of [`Decider`], so that they need no tonic of their own.
pub use tonic::async_trait;
pub use wire::flattened;

use crate::PluginOptions;
use gate::Gate;
use gleaner_crds::keys::socket::KUBELET;
use gleaner_crds::pluginregistration::registration_server::RegistrationServer;
use gleaner_crds::podresources::pod_resources_lister_server::PodResourcesListerServer;
use gleaner_crds::resourceplugin::resource_plugin_server::ResourcePluginServer;
use plugin::Plugin;
use podresources::PodResources;
use serving::Bounds;
use std::path::Path;
use std::sync::Arc;

/// Serves the plugin of one resource on `folder/socket`: its introduction and its decisions. Must be called inside a tokio runtime.
///
/// # Errors
/// When the socket cannot be made: something else is there, somebody answers there, or the kernel does not let us.
pub async fn serve(
    folder: &Path,
    socket: &str,
    resource: &str,
    options: PluginOptions,
    decider: Arc<dyn Decider>,
) -> Result<Serving, ServeError> {
    serve_within(Bounds::default(), folder, socket, resource, options, decider).await
}

async fn serve_within(
    bounds: Bounds,
    folder: &Path,
    socket: &str,
    resource: &str,
    options: PluginOptions,
    decider: Arc<dyn Decider>,
) -> Result<Serving, ServeError> {
    let path = folder.join(socket);
    let endpoint = path.display().to_string();
    let gate = Gate::new(bounds.calls, bounds.deadline);
    let plugin = Arc::new(Plugin { resource: resource.to_owned(), endpoint, options, gate, decider });
    let introduction = RegistrationServer::from_arc(Arc::clone(&plugin));
    let router = serving::server().add_service(introduction).add_service(ResourcePluginServer::from_arc(plugin));
    Serving::start(&path, bounds, router).await
}

/// Serves the list of pod resources on `folder/kubelet.sock`, the name that readers know. `resources` are those that the node is asked for.
///
/// # Errors
/// As for [`serve`].
pub async fn serve_pod_resources(folder: &Path, resources: Vec<String>, decider: Arc<dyn Decider>) -> Result<Serving, ServeError> {
    let bounds = Bounds::default();
    let lister = PodResources { resources, gate: Gate::new(bounds.calls, bounds.deadline), decider };
    let router = serving::server().add_service(PodResourcesListerServer::new(lister));
    Serving::start(&folder.join(KUBELET), bounds, router).await
}

#[cfg(test)]
mod tests;
