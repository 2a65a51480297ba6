//! Pods as the API server has them, made in few words.

use serde_json::{Value, json};

/// A pod to be. It is scheduled and running, in the namespace `default`, unless it is told otherwise.
#[derive(Debug, Clone)]
pub struct PodBuilder {
    object: Value,
}

impl PodBuilder {
    /// A pod of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let object = json!({
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": []},
            "status": {"phase": "Running"},
        });
        Self { object }
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        self.object.pointer_mut(parent).unwrap()[field] = value;
        self
    }

    fn put(mut self, map: &str, key: &str, value: &str) -> Self {
        self.object["metadata"][map][key] = json!(value);
        self
    }

    /// In this namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.with("/metadata/namespace", json!(namespace))
    }

    /// With this uid; the server gives one otherwise.
    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.with("/metadata/uid", json!(uid))
    }

    /// On this node.
    #[must_use]
    pub fn node(self, node: &str) -> Self {
        self.with("/spec/nodeName", json!(node))
    }

    /// With a label.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.put("labels", key, value)
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.put("annotations", key, value)
    }

    /// Of one of Katalyst's classes, such as `reclaimed_cores`.
    #[must_use]
    pub fn class(self, class: &str) -> Self {
        self.annotation("katalyst.kubewharf.io/qos_level", class)
    }

    /// In this phase.
    #[must_use]
    pub fn phase(self, phase: &str) -> Self {
        self.with("/status/phase", json!(phase))
    }

    /// With a container that requests these amounts, and has them as limits too.
    #[must_use]
    pub fn container(self, name: &str, amounts: &[(&str, &str)]) -> Self {
        self.container_with(name, amounts, amounts)
    }

    /// With a container that has these requests and these limits.
    #[must_use]
    pub fn container_with(mut self, name: &str, requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Self {
        let list =
            |amounts: &[(&str, &str)]| Value::Object(amounts.iter().map(|(key, amount)| ((*key).to_owned(), json!(amount))).collect());
        let container = json!({"name": name, "image": "test", "resources": {"requests": list(requests), "limits": list(limits)}});
        self.object["spec"]["containers"].as_array_mut().unwrap().push(container);
        self
    }

    /// With the runtime's id of a container, such as `containerd://abc`.
    #[must_use]
    pub fn container_id(mut self, name: &str, id: &str) -> Self {
        let status = json!({
            "name": name, "containerID": id, "image": "test", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        });
        if self.object["status"]["containerStatuses"].is_null() {
            self.object["status"]["containerStatuses"] = json!([]);
        }
        self.object["status"]["containerStatuses"].as_array_mut().unwrap().push(status);
        self
    }

    /// With any field, by JSON pointer; what is above it must be there.
    #[must_use]
    pub fn field(self, pointer: &str, value: Value) -> Self {
        self.with(pointer, value)
    }

    /// As an object.
    #[must_use]
    pub fn build(self) -> Value {
        self.object
    }
}

impl From<PodBuilder> for Value {
    fn from(pod: PodBuilder) -> Self {
        pod.build()
    }
}
