//! The hands of a test on the store: nothing that is done here is checked or written down.

use super::resource::{NODES, PODS, Resource};
use super::store::Key;
use super::write::{fresh, renumber};
use super::{ApiServer, delete, key, quantity};
use crate::wait::Deadline;
use gleaner_host::clock;
use serde_json::{Value, json};
use std::time::Duration;

impl ApiServer {
    /// Puts an object in, or another in its place. The server gives what it must have: a uid when there is none, a time, a version.
    ///
    /// # Panics
    /// When it has no name, or an amount that is none.
    pub fn set(&self, resource: Resource, object: impl Into<Value>) -> Value {
        let mut object = object.into();
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let name = text(&object, "name");
        assert!(!name.is_empty(), "an object needs a name: {object}");
        let namespace = if resource.namespaced { text(&object, "namespace") } else { String::new() };
        quantity::normalise(&resource, &mut object).unwrap_or_else(|(field, text)| panic!("{field} of {name}: {text:?} is no quantity"));
        (object["kind"], object["apiVersion"]) = (json!(resource.kind), json!(resource.api_version()));
        let key = key(resource, &namespace, &name);
        self.core.change(|state| {
            let said = object["metadata"].clone();
            let old = state.store.get(&key).map(|old| old["metadata"].clone());
            let mut object = fresh(state, &resource, object);
            let own = ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];
            let known = |field: &str| Some(&said).into_iter().chain(&old).map(|meta| &meta[field]).find(|value| !value.is_null()).cloned();
            for (field, value) in own.iter().filter_map(|field| Some((*field, known(field)?))) {
                object["metadata"][field] = value;
            }
            renumber(&resource, state.store.get(&key), &mut object);
            Value::clone(&state.store.put(key, object))
        })
    }

    /// Changes an object that is there.
    ///
    /// # Panics
    /// When it is not.
    pub fn edit(&self, resource: Resource, namespace: &str, name: &str, edit: impl FnOnce(&mut Value)) -> Value {
        let mut object = self.get(resource, namespace, name).unwrap_or_else(|| panic!("no {resource} {namespace}/{name}"));
        edit(&mut object);
        self.set(resource, object)
    }

    /// Puts a node in, with 8 CPUs and 32 GiB.
    pub fn add_node(&self, name: &str, labels: &[(&str, &str)]) -> Value {
        let labels: Value = labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into();
        let amounts = json!({"cpu": "8", "memory": "32Gi", "pods": "110"});
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let status = json!({"capacity": amounts, "allocatable": amounts, "conditions": [ready]});
        self.set(NODES, json!({"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}))
    }

    /// Puts a pod in.
    pub fn add_pod(&self, pod: impl Into<Value>) -> Value {
        self.set(PODS, pod)
    }

    /// An object, if it is there. The namespace of one of the cluster is empty.
    #[must_use]
    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.core.with(|state| state.store.get(&key(resource, namespace, name)).map(|object| Value::clone(object)))
    }

    /// All objects of a kind, by namespace and name.
    #[must_use]
    pub fn all(&self, resource: Resource) -> Vec<Value> {
        let objects = self.core.with(|state| state.store.at(state.store.version(), &resource, None));
        objects.iter().map(|(_, object)| Value::clone(object)).collect()
    }

    /// Removes an object at once. Returns whether it was there.
    pub fn delete(&self, resource: Resource, namespace: &str, name: &str) -> bool {
        self.core.change(|state| state.store.remove(&key(resource, namespace, name)).is_some())
    }

    /// Ends a pod that is being deleted, as its kubelet does when its processes are gone. Returns whether there was such a pod.
    pub fn finish(&self, namespace: &str, name: &str) -> bool {
        let key: Key = key(PODS, namespace, name);
        self.core.change(|state| {
            let meta = state.store.get(&key).map(|pod| pod["metadata"].clone()).filter(|meta| !meta["deletionTimestamp"].is_null());
            meta.is_some_and(|meta| {
                delete::finish(state, &key, meta["uid"].as_str().unwrap_or_default());
                state.store.get(&key).is_none()
            })
        })
    }

    /// Looks until there is an answer. It blocks: from a test without a runtime.
    ///
    /// # Panics
    /// When there is none in the usual time; the message shows what was asked last.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Deadline::usual();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(deadline.again(), "{}", self.still_not(what));
        }
    }

    /// Looks whenever something changes, until there is an answer. It waits: for a test in a runtime.
    ///
    /// # Panics
    /// As [`ApiServer::until`].
    pub async fn eventually<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Deadline::usual();
        let mut changed = self.core.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(found) = look(self) {
                return found;
            }
            assert!(!deadline.passed(), "{}", self.still_not(what));
            // Some questions are not about the server alone: they are asked again though nothing changed here.
            let _ = tokio::time::timeout(Duration::from_millis(50), changed.changed()).await;
        }
    }

    fn still_not(&self, what: &str) -> String {
        let requests = self.requests();
        let line = |seen: &super::Seen| {
            let ago = clock::now().since(seen.at);
            format!("  {:?} ago: {} {}?{} {:?}", ago, seen.method, seen.path, seen.query, seen.code)
        };
        let last: Vec<String> = requests.iter().rev().take(12).rev().map(line).collect();
        let violations = self.violations();
        format!("still not so: {what}\n{} requests, the last:\n{}\nviolations: {violations:#?}", requests.len(), last.join("\n"))
    }
}
