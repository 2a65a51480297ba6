//! The Kubernetes and gRPC vocabulary that Gleaner speaks: names and shapes that others defined and that must match to the
//! letter, in one place.
//!
//! Must not know: files, sockets, clocks, the kernel, the API server, and any decision. It says how a thing is written, never
//! when or why. The quality-of-service annotations of pods belong to the model, which parses them.
//!
//! Entry points:
//! - [`cnr::CustomNodeResource`], the object through which a node shows what it lends, and [`manifests::crd_documents`], the YAML
//!   that installs it;
//! - [`config::AdminQosConfiguration`] and [`config::CustomNodeConfig`], the objects by which nodes are configured;
//! - [`pluginregistration`] and [`resourceplugin`], messages, clients and servers of the resource plugin protocol, and [`podresources`], by
//!   which others read what pods were given;
//! - [`reclaimed::container_amounts`], what a container asks for, on top of [`quantity`];
//! - [`keys`], everything that is only a name.

pub mod cnr;
pub mod config;
pub mod error;
pub mod estimator;
pub mod keys;
pub mod manifests;
pub mod nri;
mod open_enum;
pub mod pluginregistration;
pub mod podresources;
pub mod quantity;
pub mod reclaimed;
pub mod resourceplugin;
#[cfg(test)]
mod wire;

pub use error::{CrdsError, QuantityError};
