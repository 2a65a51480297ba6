//! The end: taking back what was offered, and taking everything away.

use super::calls::{Trouble, call, find, params};
use super::cnr::withdrawn;
use super::cnr_gap::status_patch as cnr_patch;
use super::node_status::{NodeStatus, removal_patch, status_patch};
use super::node_task::write_taint;
use super::node_view::NodeView;
use super::saying::stopped;
use crate::kubernetes::ReportSettings;
use gleaner_crds::cnr::CustomNodeResource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use kube::api::{DeleteParams, Patch};
use kube::{Api, Client};
use std::time::Duration;

/// Whoever stops the agent does not wait for an API server for longer.
const STOPPING: Duration = Duration::from_secs(2);

/// Offers nothing any more and says that the agent stopped, on both objects, within 2 s. Not before [`super::Reporter::run`] is dropped, which would
/// offer it again. Returns what did not work, a line each.
pub(crate) async fn withdraw(client: Client, node: &str, settings: &ReportSettings) -> Vec<String> {
    if !settings.withdraw_on_stop {
        return Vec::new();
    }
    let now = Time(jiff::Timestamp::now());
    let on_node = Box::pin(withdraw_node(Api::all(client.clone()), node, settings, &now));
    let on_cnr = Box::pin(withdraw_cnr(Api::all(client), node, settings, &now));
    let both = Box::pin(async { tokio::join!(on_node, on_cnr) });
    match tokio::time::timeout(STOPPING, both).await {
        Ok((a, b)) => lines([a, b]),
        Err(_) => vec![format!("what is lent was not withdrawn from node {node}: no answer in {}s", STOPPING.as_secs())],
    }
}

/// A taint that nobody would take back goes as well.
async fn withdraw_node(nodes: Api<NodeView>, node: &str, settings: &ReportSettings, now: &Time) -> Result<(), Trouble> {
    if !settings.node_status && !settings.node_taint {
        return Ok(());
    }
    let mut told = call(&format!("get nodes {node}"), nodes.get(node)).await?;
    if settings.node_status {
        let patch = Patch::Strategic(status_patch(&told, &NodeStatus::withdrawn(stopped()), now));
        told = call(&format!("patch nodes/status {node}"), nodes.patch_status(node, &params(), &patch)).await?;
    }
    write_taint(&nodes, node, &mut told, false).await
}

async fn withdraw_cnr(cnrs: Api<CustomNodeResource>, node: &str, settings: &ReportSettings, now: &Time) -> Result<(), Trouble> {
    if !settings.custom_node_resource {
        return Ok(());
    }
    let Some(mut told) = find(&format!("get customnoderesources {node}"), cnrs.get(node)).await? else { return Ok(()) };
    // Who stops has nobody to come to an agreement with: the version does not matter.
    told.metadata.resource_version = None;
    let patch = Patch::Merge(cnr_patch(&told, &withdrawn(&told, &stopped()), now));
    call(&format!("patch customnoderesources/status {node}"), cnrs.patch_status(node, &params(), &patch)).await.map(drop)
}

/// Takes everything away that was ever reported: extended resources, conditions and the taint of the Node, and the CustomNodeResource. What is not
/// there is taken away already. Returns what did not work, a line each.
pub(crate) async fn remove(client: Client, node: &str) -> Vec<String> {
    let (nodes, cnrs) = (Api::all(client.clone()), Api::all(client));
    lines([remove_taint(&nodes, node).await, remove_status(&nodes, node).await, remove_cnr(&cnrs, node).await])
}

async fn remove_taint(nodes: &Api<NodeView>, node: &str) -> Result<(), Trouble> {
    let Some(mut told) = find(&format!("get nodes {node}"), nodes.get(node)).await? else { return Ok(()) };
    write_taint(nodes, node, &mut told, false).await
}

async fn remove_status(nodes: &Api<NodeView>, node: &str) -> Result<(), Trouble> {
    let patch = Patch::Strategic(removal_patch());
    find(&format!("patch nodes/status {node}"), nodes.patch_status(node, &params(), &patch)).await.map(drop)
}

async fn remove_cnr(cnrs: &Api<CustomNodeResource>, node: &str) -> Result<(), Trouble> {
    find(&format!("delete customnoderesources {node}"), cnrs.delete(node, &DeleteParams::default())).await.map(drop)
}

fn lines<const N: usize>(results: [Result<(), Trouble>; N]) -> Vec<String> {
    results.into_iter().filter_map(Result::err).map(|trouble| trouble.line).collect()
}
