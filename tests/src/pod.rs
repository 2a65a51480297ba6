//! Pods to run, as manifests.

use serde_json::{Map, Value, json};

/// A pod with one container, in the namespace `default`; the container has the pod's name. Ends within a second unless told otherwise.
#[derive(Debug, Clone)]
pub struct Pod {
    name: String,
    annotations: Map<String, Value>,
    command: Vec<String>,
    requests: Map<String, Value>,
    limits: Map<String, Value>,
    grace: u32,
    restart: String,
}

impl Pod {
    /// A pod of the default class that sleeps.
    #[must_use]
    pub fn shared(name: &str) -> Self {
        let command = vec!["workload".to_owned(), "sleep".to_owned()];
        let (annotations, requests, limits) = (Map::new(), Map::new(), Map::new());
        Self { name: name.to_owned(), annotations, command, requests, limits, grace: 1, restart: "Always".to_owned() }
    }

    /// A pod with CPUs of its own, and a little memory.
    #[must_use]
    pub fn dedicated(name: &str, cpus: u32) -> Self {
        let pod = Self::shared(name).class("dedicated_cores");
        let both = |pod: Self, key: &str, value: &str| pod.request(key, value).limit(key, value);
        both(both(pod, "cpu", &cpus.to_string()), "memory", "64Mi")
    }

    /// A pod that runs on what is lent, with this many milli-CPUs and 64 MiB promised.
    #[must_use]
    pub fn reclaimed(name: &str, milli: u32) -> Self {
        Self::shared(name)
            .class("reclaimed_cores")
            .request("resource.katalyst.kubewharf.io/reclaimed_millicpu", &milli.to_string())
            .request("resource.katalyst.kubewharf.io/reclaimed_memory", "64Mi")
    }

    /// A pod of the node's own agents.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self::shared(name).class("system_cores")
    }

    /// With this class.
    #[must_use]
    pub fn class(self, class: &str) -> Self {
        self.annotation("katalyst.kubewharf.io/qos_level", class)
    }

    /// With this annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), Value::from(value));
        self
    }

    /// With this command, split at spaces; none when empty.
    #[must_use]
    pub fn runs(mut self, command: &str) -> Self {
        self.command = command.split_whitespace().map(str::to_owned).collect();
        self
    }

    /// With this request.
    #[must_use]
    pub fn request(mut self, resource: &str, amount: &str) -> Self {
        self.requests.insert(resource.to_owned(), Value::from(amount));
        self
    }

    /// With this limit.
    #[must_use]
    pub fn limit(mut self, resource: &str, amount: &str) -> Self {
        self.limits.insert(resource.to_owned(), Value::from(amount));
        self
    }

    /// With this many seconds to end.
    #[must_use]
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = seconds;
        self
    }

    /// With this restart policy.
    #[must_use]
    pub fn restart(mut self, policy: &str) -> Self {
        self.restart = policy.to_owned();
        self
    }

    /// Namespace and name, as the agent shows them.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("default/{}", self.name)
    }

    /// The manifest. JSON is YAML too.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut container = json!({
            "name": self.name,
            "resources": { "requests": self.requests, "limits": self.limits },
        });
        if !self.command.is_empty() {
            container["command"] = json!(self.command);
        }
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": self.name, "annotations": self.annotations },
            "spec": { "terminationGracePeriodSeconds": self.grace, "restartPolicy": self.restart, "containers": [container] },
        });
        format!("{pod:#}\n")
    }
}
