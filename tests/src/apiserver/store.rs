//! The objects, and every change of them.

use super::resource::Resource;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where an object is; of one of the cluster the namespace is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) resource: Resource,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One step of the store.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
}

#[derive(Debug)]
pub(super) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    /// All there ever were, so that an older list can be continued.
    changes: Vec<Change>,
    version: u64,
    /// What is older than this is not told any more.
    compacted: u64,
    uids: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        // Not near zero: nobody is to count on small numbers.
        Self { objects: BTreeMap::new(), changes: Vec::new(), version: 1000, compacted: 0, uids: 0 }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn compact(&mut self) {
        // A version of its own, so that even what is known up to the last change is too old.
        self.version += 1;
        self.compacted = self.version;
    }

    /// A name for an object that nobody had before.
    pub(super) fn uid(&mut self) -> String {
        self.uids += 1;
        format!("7c9e6679-7425-40de-944b-{:012x}", self.uids)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// Keeps an object under a new version.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        self.changes.push(Change { version: self.version, key, before, after: Some(Arc::clone(&object)) });
        object
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let change = Change { version: self.version, key: key.clone(), before: Some(Arc::clone(&before)), after: None };
        self.changes.push(change);
        Some(before)
    }

    /// What changed after a version.
    pub(super) fn since(&self, version: u64) -> &[Change] {
        let from = self.changes.partition_point(|change| change.version <= version);
        &self.changes[from..]
    }

    /// All objects as they were at a version, in the order of their keys.
    pub(super) fn at(&self, version: u64, resource: &Resource, namespace: Option<&str>) -> Vec<(Key, Arc<Value>)> {
        let wanted = |key: &Key| key.resource == *resource && namespace.is_none_or(|namespace| key.namespace == namespace);
        let mut objects: BTreeMap<&Key, &Arc<Value>> = self.objects.iter().filter(|(key, _)| wanted(key)).collect();
        for change in self.since(version).iter().rev().filter(|change| wanted(&change.key)) {
            match &change.before {
                Some(before) => objects.insert(&change.key, before),
                None => objects.remove(&change.key),
            };
        }
        objects.into_iter().map(|(key, object)| (key.clone(), Arc::clone(object))).collect()
    }
}
