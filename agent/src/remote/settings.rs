use gleaner_model::Span;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Plugins in other processes: the section `plugins` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RemoteSettings {
    /// The folder in which plugins register and have their sockets; an empty path: none can.
    pub(crate) registry_dir: PathBuf,
    /// How long a plugin has for one answer.
    pub(crate) deadline: Span,
}

impl Default for RemoteSettings {
    fn default() -> Self {
        Self { registry_dir: PathBuf::new(), deadline: Span::from_secs(2) }
    }
}

impl RemoteSettings {
    /// Whether plugins can register.
    pub(crate) fn is_served(&self) -> bool {
        !self.registry_dir.as_os_str().is_empty()
    }

    /// What is wrong with it, each problem with its key.
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.is_served() && !self.registry_dir.is_absolute() {
            problems.push(format!("registryDir: {} is not an absolute path", self.registry_dir.display()));
        }
        let deadline = self.deadline.get();
        if deadline < Duration::from_millis(10) || deadline > Duration::from_secs(60) {
            problems.push(format!("deadline: {} is not between 10ms and 60s", self.deadline));
        }
        problems
    }
}
