//! All that the server knows.

use super::access::Access;
use super::evict::{Budget, Grace};
use super::failure::Failure;
use super::fault::Faults;
use super::query::Query;
use super::resource::Resource;
use super::seen::Seen;
use super::store::{Key, Store};
use super::target::Target;
use super::watch::Command;
use axum::body::Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A request that is about an object or a kind of objects.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) verb: &'static str,
    pub(super) target: Target,
    pub(super) query: Query,
    /// The type of the body's content, without parameters.
    pub(super) content: String,
    /// Whether only metadata is wanted.
    pub(super) partial: bool,
    pub(super) body: Bytes,
}

impl Call {
    /// Where the object is; the name is empty when the path has none.
    pub(super) fn key(&self) -> Key {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Key { resource: self.target.resource, namespace: text(&self.target.namespace), name: text(&self.target.name) }
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        if self.content != "application/json" {
            return Err(Failure::media(format!("the body of the request was in an unknown format: {:?}", self.content)));
        }
        match serde_json::from_slice(&self.body) {
            Ok(object @ Value::Object(_)) => Ok(object),
            Ok(other) => Err(Failure::bad(format!("the body is no object: {other}"))),
            Err(e) => Err(Failure::bad(format!("the body is no JSON: {e}"))),
        }
    }
}

/// A code and a body.
pub(super) type Answer = Result<(u16, Value), Failure>;

#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) defined: BTreeSet<Resource>,
    /// By the order in which they came.
    pub(super) seen: BTreeMap<u64, Seen>,
    /// The number of the next one.
    pub(super) numbers: u64,
    pub(super) violations: Vec<String>,
    pub(super) faults: Faults,
    /// What definitions say of their objects.
    pub(super) schemas: BTreeMap<Resource, Arc<Value>>,
    pub(super) access: Access,
    /// By namespace and name.
    pub(super) budgets: BTreeMap<(String, String), Budget>,
    pub(super) grace: Grace,
    /// The kubelet's configuration by node.
    pub(super) configz: BTreeMap<String, Value>,
    /// Whether a watch from a version that is gone is refused, or begins and ends with an event.
    pub(super) gone_by_status: bool,
    /// What was said to watches, with the number of the last one.
    pub(super) commands: Vec<Command>,
    /// Pods that end by themselves: after how long, where, uid.
    pub(super) ending: Vec<(Duration, Key, String)>,
}

impl State {
    pub(super) fn new(defined: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            store: Store::new(),
            defined: defined.into_iter().collect(),
            seen: BTreeMap::new(),
            numbers: 0,
            violations: Vec::new(),
            faults: Faults::default(),
            schemas: BTreeMap::new(),
            access: Access::default(),
            budgets: BTreeMap::new(),
            grace: Grace::default(),
            configz: BTreeMap::new(),
            gone_by_status: false,
            commands: Vec::new(),
            ending: Vec::new(),
        }
    }

    /// Writes a request down, and gives it a number.
    pub(super) fn note(&mut self, seen: Seen) -> u64 {
        let number = self.numbers;
        self.numbers += 1;
        self.seen.insert(number, seen);
        number
    }

    /// Writes down how a request was answered, if it was not forgotten.
    pub(super) fn answered(&mut self, number: u64, code: u16) {
        if let Some(seen) = self.seen.get_mut(&number) {
            seen.code = Some(code);
        }
    }

    pub(super) fn find(&self, key: &Key) -> Result<Arc<Value>, Failure> {
        self.store.get(key).cloned().ok_or_else(|| Failure::not_found(&key.resource, &key.name))
    }

    /// What the definition of a kind says, if it says anything.
    pub(super) fn schema(&self, resource: &Resource) -> Option<Arc<Value>> {
        self.schemas.get(resource).cloned()
    }

    /// Does what the call asks for, unless it is a watch.
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        call.query.check(call.verb)?;
        match (call.verb, call.target.subresource.as_deref()) {
            ("get", None) => super::read::get(self, call),
            ("get", Some("status")) if call.target.resource.status_subresource => super::read::get(self, call),
            ("get", Some("proxy/configz")) => self.configz(call),
            ("list", None) => super::read::list(self, call),
            ("create", None) => super::write::create(self, call),
            ("create", Some("eviction")) if call.target.resource == super::resource::PODS => super::evict::evict(self, call),
            ("update", None) => super::write::update(self, call),
            ("patch", None) => super::write::patch(self, call),
            ("update", Some("status")) if call.target.resource.status_subresource => super::write::update(self, call),
            ("patch", Some("status")) if call.target.resource.status_subresource => super::write::patch(self, call),
            ("delete", None) => super::delete::delete(self, call),
            ("deletecollection", None) => Err(Failure::method()),
            (_, Some(_)) => Err(Failure::no_page()),
            _ => Err(Failure::method()),
        }
    }

    fn configz(&self, call: &Call) -> Answer {
        if call.target.resource != super::resource::NODES {
            return Err(Failure::no_page());
        }
        self.find(&call.key())?;
        self.configz.get(&call.key().name).cloned().map(|configz| (200, configz)).ok_or_else(Failure::no_page)
    }
}
