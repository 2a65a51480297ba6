//! Of a Node only what the reporter compares. A Node's list of images alone is often larger than all the rest of the agent's state.

use super::saying::Saying;
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A Node, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct NodeView {
    /// Name, uid, version and labels.
    pub(crate) metadata: ObjectMeta,
    /// Taints.
    pub(crate) spec: NodeViewSpec,
    /// Amounts and conditions.
    pub(crate) status: NodeViewStatus,
}

/// See [`NodeView`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct NodeViewSpec {
    /// Everybody's taints.
    pub(crate) taints: Vec<Taint>,
}

/// See [`NodeView`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct NodeViewStatus {
    /// Of all resources.
    pub(crate) capacity: BTreeMap<String, Quantity>,
    /// Of all resources.
    pub(crate) allocatable: BTreeMap<String, Quantity>,
    /// Everybody's conditions.
    pub(crate) conditions: Vec<NodeViewCondition>,
}

/// One condition, without its heartbeat, which kubelet changes all the time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeViewCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub(crate) type_: String,
    /// Whether it holds.
    pub(crate) status: String,
    /// Why.
    #[serde(default)]
    pub(crate) reason: String,
    /// Why, for people.
    #[serde(default)]
    pub(crate) message: String,
    /// Since when.
    #[serde(default)]
    pub(crate) last_transition_time: Option<Time>,
}

impl NodeViewCondition {
    /// Whether it says just that.
    pub(crate) fn says(&self, saying: &Saying) -> bool {
        (self.status.as_str(), self.reason.as_str(), self.message.as_str()) == (saying.status(), saying.reason, saying.message.as_str())
    }
}

impl NodeView {
    /// The condition of a type.
    pub(crate) fn condition(&self, type_: &str) -> Option<&NodeViewCondition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// For objects that are to go when the Node goes.
    pub(crate) fn owner(&self) -> Option<OwnerReference> {
        Some(OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: self.metadata.name.clone()?,
            uid: self.metadata.uid.clone()?,
            ..OwnerReference::default()
        })
    }
}

impl Resource for NodeView {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Node::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Node::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Node::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Node::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
