//! The tree of sockets, NUMA nodes and devices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ResourceList, Resources, schema};
use crate::open_enum::open_enum;

/// A place in the node that has resources of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyZone {
    /// What kind of place.
    #[serde(rename = "type")]
    pub type_: ZoneType,
    /// Its name among those of its kind; for sockets and NUMA nodes the id.
    pub name: String,
    /// What it has.
    #[serde(default)]
    pub resources: Resources,
    /// Facts about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Who holds how much of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocations: Vec<Allocation>,
    /// Zones inside this one, such as the NUMA nodes of a socket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::zones")]
    pub children: Vec<TopologyZone>,
    /// Relations to zones of the same level, such as the distance between NUMA nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub siblings: Vec<Sibling>,
}

impl TopologyZone {
    /// A zone of which nothing more is known.
    #[must_use]
    pub fn new(type_: ZoneType, name: impl Into<String>) -> Self {
        Self {
            type_,
            name: name.into(),
            resources: Resources::default(),
            attributes: Vec::new(),
            allocations: Vec::new(),
            children: Vec::new(),
            siblings: Vec::new(),
        }
    }
}

open_enum! {
    /// Kinds of zones.
    ZoneType {
        /// A processor package.
        Socket = "Socket",
        /// A NUMA node.
        Numa = "Numa",
        /// CPUs that share a last-level cache.
        CacheGroup = "CacheGroup",
        /// A GPU.
        Gpu = "GPU",
        /// A network card.
        Nic = "NIC",
    }
}

/// A named text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What one consumer holds of a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Allocation {
    /// The pod, as `namespace/name/uid`.
    pub consumer: String,
    /// How much it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_list")]
    pub requests: Option<ResourceList>,
}

/// A relation to another zone of the same level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sibling {
    /// The other zone's kind.
    #[serde(rename = "type")]
    pub type_: ZoneType,
    /// The other zone's name.
    pub name: String,
    /// What is known of the relation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}
