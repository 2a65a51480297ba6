//! The double of the API server, asked by kube's own client: does it answer as a server does, and fail as it is told?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "apiserver_double/evictions.rs"]
mod evictions;
#[path = "apiserver_double/faults.rs"]
mod faults;
#[path = "apiserver_double/follow.rs"]
mod follow;
#[path = "apiserver_double/lists.rs"]
mod lists;
#[path = "apiserver_double/objects.rs"]
mod objects;
#[path = "apiserver_double/patches.rs"]
mod patches;
#[path = "apiserver_double/schedules.rs"]
mod schedules;
#[path = "apiserver_double/tls.rs"]
mod tls;
#[path = "apiserver_double/watches.rs"]
mod watches;

use gleaner_tests::apiserver::{ApiServer, CNRS, PodBuilder, Resource};
use hyper::Request;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Error};
use serde_json::Value;

fn nodes(server: &ApiServer) -> Api<Node> {
    Api::all(server.client())
}

fn pods(server: &ApiServer, namespace: &str) -> Api<Pod> {
    Api::namespaced(server.client(), namespace)
}

/// CustomNodeResources as they come over the wire.
fn cnrs(server: &ApiServer) -> Api<DynamicObject> {
    of_cluster(server, CNRS)
}

/// Objects of the cluster as they come over the wire.
fn of_cluster(server: &ApiServer, resource: Resource) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(resource.group, resource.version, resource.kind);
    Api::all_with(server.client(), &ApiResource::from_gvk_with_plural(&kind, resource.plural))
}

/// A pod on the node `n1`.
fn pod(name: &str) -> PodBuilder {
    PodBuilder::new(name).node("n1").container("c", &[("cpu", "1"), ("memory", "1Gi")])
}

/// The code of a refusal.
fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> u16 {
    match answer {
        Err(Error::Api(status)) => status.code,
        other => panic!("no refusal: {other:?}"),
    }
}

/// A request that no typed client would make.
async fn raw(client: &Client, method: &str, path: &str, content: &str, body: &Value) -> Result<Value, Error> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    client.request(Request::builder().method(method).uri(path).header("content-type", content).body(body).unwrap()).await
}
