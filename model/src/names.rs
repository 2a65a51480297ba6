//! Names that arrive from outside, checked once where they enter. Copies share one text: every knob and every decision names somebody.

use crate::error::ValueError;
use crate::ids::{Id, NumaId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

const LONGEST: usize = 253;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            /// Accepts 1 to 253 letters, digits, `-`, `_` and `.`, beginning with a letter or digit: what can be a part of a path
            /// without leading out of it.
            fn from_str(text: &str) -> Result<Self, ValueError> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(ValueError::malformed(text, $what)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;
            fn try_from(text: String) -> Result<Self, ValueError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= LONGEST && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && text.bytes().all(legal)
}

name!(
    /// The uid of a pod, as Kubernetes gives it.
    PodUid,
    "a pod uid (letters, digits, '-', '_' and '.')"
);
name!(
    /// The name of a container inside its pod.
    ContainerName,
    "a container name (letters, digits, '-', '_' and '.')"
);
name!(
    /// The name of a pool of CPUs.
    PoolName,
    "a pool name (letters, digits, '-', '_' and '.')"
);

/// Between the name of a pool and the NUMA node that its part is bound to.
const ON_NODE: &str = "-NUMA";

impl PoolName {
    /// The most bytes of a name.
    pub const LONGEST: usize = LONGEST;

    /// The most bytes that [`PoolName::on_node`] adds to a name.
    pub const NODE_SUFFIX: usize = ON_NODE.len() + 4;

    /// CPUs kept for the system; never given to pods.
    #[must_use]
    pub fn reserve() -> Self {
        Self("reserve".into())
    }

    /// CPUs that interrupts have for themselves; never given to pods.
    #[must_use]
    pub fn interrupt() -> Self {
        Self("interrupt".into())
    }

    /// The default pool of `shared_cores` pods.
    #[must_use]
    pub fn share() -> Self {
        Self("share".into())
    }

    /// The pool of `reclaimed_cores` pods.
    #[must_use]
    pub fn reclaim() -> Self {
        Self("reclaim".into())
    }

    /// The pool that a `dedicated_cores` pod has for itself.
    #[must_use]
    pub fn dedicated(pod: &PodUid) -> Self {
        Self(format!("dedicated-{pod}").into())
    }

    /// The pool that a shared pod has for itself while it floods the one that it would be in; also the beginning of the name of that on one NUMA node.
    #[must_use]
    pub fn isolation(pod: &PodUid) -> Self {
        Self(format!("isolation-{pod}").into())
    }

    /// The part of this pool for pods with `numa_binding` on one NUMA node: `share-NUMA0`.
    #[must_use]
    pub fn on_node(&self, node: NumaId) -> Self {
        Self(format!("{self}{ON_NODE}{node}").into())
    }

    /// The pool and the NUMA node that [`PoolName::on_node`] made this name of; `None` for any other name.
    #[must_use]
    pub fn node_bound(&self) -> Option<(Self, NumaId)> {
        let (pool, digits) = self.0.rsplit_once(ON_NODE)?;
        let node = digits.parse::<u32>().ok().filter(|node| *node <= NumaId::MAX && node.to_string() == digits)?;
        Some((pool.parse().ok()?, NumaId::new(node)))
    }

    /// Whether the name is one that Gleaner itself gives to a pool, so that no pod can ask for it by name.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        matches!(self.as_str(), "reserve" | "interrupt" | "reclaim" | "system")
            || self.as_str().starts_with("system-")
            || self.is_dedicated()
            || self.is_isolation()
            || self.node_bound().is_some()
    }

    /// Whether the pool belongs to one dedicated pod.
    #[must_use]
    pub fn is_dedicated(&self) -> bool {
        self.0.starts_with("dedicated-")
    }

    /// Whether the pool belongs to one shared pod that is isolated.
    #[must_use]
    pub fn is_isolation(&self) -> bool {
        self.0.starts_with("isolation-")
    }
}

/// A pod's namespace and name, shown as `namespace/name`. Unique among the pods that exist at one time, unlike in the course of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.namespace, self.name))
    }
}

/// A cgroup below the root of a hierarchy: `/kubepods/besteffort/pod1`. Begins with `/`, has no empty, `.` or `..` part, so that joining it
/// to a mount point can never lead out of that mount. The root itself is `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CgroupPath(Arc<str>);

impl CgroupPath {
    /// The root of a hierarchy.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The text, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text below the mount point, without the leading `/`; empty for the root.
    #[must_use]
    pub fn relative(&self) -> &str {
        self.0.trim_start_matches('/')
    }

    /// A child of this cgroup.
    ///
    /// # Errors
    /// When the name is empty, `.`, `..`, or holds a `/` or a NUL.
    pub fn join(&self, child: &str) -> Result<Self, ValueError> {
        if child.contains('/') {
            return Err(ValueError::malformed(child, "the name of one cgroup"));
        }
        format!("{}/{child}", self.0.trim_end_matches('/')).parse()
    }

    /// The cgroup that this one is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        match (self.is_root(), parent.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Self::root()),
            (false, false) => Some(Self(parent.into())),
        }
    }

    /// The last part of the path; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.as_str() == "/"
    }

    /// How many cgroups lie between this and the root, itself included; the root has depth 0.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.split('/').filter(|part| !part.is_empty()).count()
    }

    /// Whether this is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        ancestor.is_root() || self == ancestor || self.0.strip_prefix(ancestor.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for CgroupPath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const WHAT: &str = "a cgroup path such as /kubepods/burstable";
        let inner = text.strip_prefix('/').ok_or_else(|| ValueError::malformed(text, WHAT))?;
        let legal = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255 && !part.contains('\0');
        if inner.is_empty() || inner.split('/').all(legal) { Ok(Self(text.into())) } else { Err(ValueError::malformed(text, WHAT)) }
    }
}

impl TryFrom<String> for CgroupPath {
    type Error = ValueError;
    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<CgroupPath> for String {
    fn from(path: CgroupPath) -> Self {
        path.0.as_ref().to_owned()
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_its_folder() {
        for bad in ["", ".", "..", "a/b", "-a", ".a", "a b", "a\0", "ä", &"x".repeat(254)] {
            assert!(bad.parse::<PodUid>().is_err(), "{bad:?}");
        }
        assert_eq!("3f-2_a.b".parse::<PodUid>().unwrap().as_str(), "3f-2_a.b");
    }

    #[test]
    fn the_name_of_a_pool_on_a_node_is_read_back_and_nothing_else_is() {
        let pool: PoolName = "web-NUMA1".parse().unwrap();
        assert_eq!("web".parse::<PoolName>().unwrap().on_node(NumaId::new(1)), pool);
        assert_eq!(pool.node_bound(), Some(("web".parse().unwrap(), NumaId::new(1))));
        assert!(pool.is_built_in() && PoolName::interrupt().is_built_in());
        let isolation = PoolName::isolation(&"p1".parse().unwrap());
        assert!(isolation.is_built_in() && isolation.is_isolation() && isolation.on_node(NumaId::new(0)).is_isolation());
        for other in ["web", "web-NUMA", "web-NUMA01", "web-NUMA1x", "web-NUMA1024", "web-numa1", "NUMA1"] {
            let name: PoolName = other.parse().unwrap();
            assert!(name.node_bound().is_none() && !name.is_built_in(), "{other}");
        }
        let longest = PoolName::share().on_node(NumaId::from_index(NumaId::MAX));
        assert_eq!(longest.as_str().len(), PoolName::share().as_str().len() + PoolName::NODE_SUFFIX);
    }

    #[test]
    fn a_cgroup_path_cannot_lead_out_of_its_mount() {
        for bad in ["", "a", "//", "/a//b", "/a/", "/..", "/a/../b", "/./a", "/a\0"] {
            assert!(bad.parse::<CgroupPath>().is_err(), "{bad:?}");
        }
        let pod: CgroupPath = "/kubepods/burstable".parse().unwrap();
        assert!(pod.join("a/b").is_err() && pod.join("..").is_err());
        assert_eq!(pod.join("podx").unwrap().as_str(), "/kubepods/burstable/podx");
        assert_eq!(CgroupPath::root().join("kubepods").unwrap().as_str(), "/kubepods");
    }

    #[test]
    fn cgroup_paths_know_their_family() {
        let path: CgroupPath = "/kubepods/burstable".parse().unwrap();
        let parent = path.parent().unwrap();
        assert_eq!((parent.as_str(), path.name(), path.depth()), ("/kubepods", "burstable", 2));
        assert_eq!(parent.parent(), Some(CgroupPath::root()));
        assert_eq!(CgroupPath::root().parent(), None);
        assert!(path.is_within(&parent) && path.is_within(&CgroupPath::root()) && path.is_within(&path));
        assert!(!"/kubepods2".parse::<CgroupPath>().unwrap().is_within(&parent));
    }
}
