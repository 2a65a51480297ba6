//! A Kubernetes API server in memory, for tests: objects, versions, watches, patches, evictions, and everything that goes wrong on the way.
//!
//! It is strict: what a real server refuses is refused, and written down, so that [`ApiServer::assert_clean`] finds it. It is a
//! [`tower::Service`], which [`kube::Client`] takes as it is, and listens behind TLS for other processes ([`ApiServer::serve`]). All clones are the
//! same server.

mod about;
mod access;
mod check;
mod delete;
mod event;
mod evict;
mod failure;
mod fault;
mod helpers;
mod patch;
mod pod;
mod quantity;
mod query;
mod read;
mod resource;
mod schema;
mod seen;
mod selector;
mod serve;
mod service;
mod state;
mod store;
mod strategic;
mod target;
mod tls;
mod watch;
mod write;

pub use self::evict::Grace;
pub use self::fault::{Cut, Effect, Rule};
pub use self::pod::PodBuilder;
pub use self::quantity::canonical;
pub use self::resource::{ADMIN_QOS, CNCS, CNRS, EVENTS, EVENTS_V1, LEASES, NODES, PODS, Resource};
pub use self::seen::{Seen, Written};
pub use self::serve::Served;
pub use self::watch::Push;

use self::evict::Budget;
use self::resource::{BUILT_IN, KATALYST};
use self::selector::Selector;
use self::service::Core;
use self::state::State;
use self::store::Key;
use self::watch::Command;
use gleaner_crds::cnr::CustomNodeResource;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A server. Its state is as long as there is a clone of it.
#[derive(Debug, Clone)]
pub struct ApiServer {
    core: Arc<Core>,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ApiServer {
    /// A server with Katalyst's definitions. Of CustomNodeResources it has the schema, which drops and refuses fields.
    #[must_use]
    pub fn new() -> Self {
        let server = Self { core: Arc::new(Core::new(State::new(BUILT_IN.into_iter().chain(KATALYST)))) };
        server.define_as(CNRS, &CustomNodeResource::crd());
        server
    }

    /// A server as it comes, without any definition.
    #[must_use]
    pub fn stock() -> Self {
        Self { core: Arc::new(Core::new(State::new(BUILT_IN))) }
    }

    /// A client in this process, which asks without TLS and without a token. It must be made in a runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Listens at the loopback, behind TLS.
    #[must_use]
    pub fn serve(&self) -> Served {
        Served::start(self.clone())
    }

    /// Installs a definition that takes everything.
    pub fn define(&self, resource: Resource) {
        self.core.change(|state| state.defined.insert(resource));
    }

    /// Installs a definition with its schema.
    ///
    /// # Panics
    /// When the definition has no schema for the version of the resource.
    pub fn define_as(&self, resource: Resource, definition: &CustomResourceDefinition) {
        let version = definition
            .spec
            .versions
            .iter()
            .find(|version| version.name == resource.version && definition.spec.names.plural == resource.plural);
        let schema = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
        let schema = schema.map(|schema| Arc::new(serde_json::to_value(schema).unwrap()));
        self.core.change(|state| {
            state.defined.insert(resource);
            state.schemas.insert(resource, schema.unwrap_or_else(|| panic!("no schema of {resource}")));
        });
    }

    /// Removes a definition, and all objects of it.
    pub fn undefine(&self, resource: Resource) {
        self.core.change(|state| {
            for (key, _) in state.store.at(state.store.version(), &resource, None) {
                state.store.remove(&key);
            }
            state.schemas.remove(&resource);
            state.defined.remove(&resource);
        });
    }

    /// Allows what a role allows, and nothing else.
    pub fn role(&self, role: &ClusterRole) {
        let rules = role.rules.clone().unwrap_or_default();
        self.core.change(|state| state.access.rules = Some(rules));
    }

    /// Forbids a verb of a resource, such as `patch` of `nodes/status`; `*` is any.
    pub fn deny(&self, verb: &str, resource: &str) {
        self.core.change(|state| state.access.denied.insert((verb.to_owned(), resource.to_owned())));
    }

    /// Takes back what [`ApiServer::deny`] forbade.
    pub fn allow(&self, verb: &str, resource: &str) {
        self.core.change(|state| state.access.denied.remove(&(verb.to_owned(), resource.to_owned())));
    }

    /// Makes something go wrong. Of several rules for a request the first one holds.
    pub fn inject(&self, rule: Rule) {
        self.core.change(|state| state.faults.add(rule));
    }

    /// Makes the next requests fail with this code.
    pub fn fail_next(&self, times: usize, code: u16) {
        self.inject(Rule::next(times, Effect::Answer(code)));
    }

    /// Every answer comes later by this much.
    pub fn latency(&self, latency: Duration) {
        self.core.change(|state| state.faults.latency = latency);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.core.change(|state| state.faults.heal());
    }

    /// Forgets what is older than now: lists and watches from there are answered 410. Watches that run are not ended.
    pub fn compact(&self) {
        self.core.change(|state| state.store.compact());
    }

    /// Whether a watch from a version that is gone is answered with the status 410. Otherwise it begins with an event that says so and ends, as
    /// real servers do it; the other is allowed, and what is between client and server may do it.
    pub fn gone_by_status(&self, by_status: bool) {
        self.core.change(|state| state.gone_by_status = by_status);
    }

    /// Makes all watches do this that run now.
    pub fn push(&self, push: Push) {
        self.command(push, None);
    }

    /// Makes all watches of one kind of objects do this that run now.
    pub fn push_to(&self, resource: Resource, push: Push) {
        self.command(push, Some(resource));
    }

    fn command(&self, push: Push, resource: Option<Resource>) {
        self.core.change(|state| {
            let version = state.store.version();
            state.commands.push(Command { push, version, resource });
        });
    }

    /// What was asked so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.core.with(|state| state.seen.values().cloned().collect())
    }

    /// How often each object was written to, whatever the answer was.
    #[must_use]
    pub fn writes(&self) -> BTreeMap<Written, usize> {
        self.core.with(|state| {
            let mut writes = BTreeMap::new();
            for seen in state.seen.values().filter(|seen| seen.writes()) {
                *writes.entry(seen.written()).or_default() += 1;
            }
            writes
        })
    }

    /// How often objects of this resource, such as `nodes/status`, were written to.
    #[must_use]
    pub fn writes_of(&self, resource: &str) -> usize {
        self.writes().iter().filter(|(written, _)| written.resource == resource).map(|(_, count)| count).sum()
    }

    /// Forgets what was asked so far.
    pub fn forget_requests(&self) {
        self.core.change(|state| state.seen.clear());
    }

    /// What a real server would have refused, or would have dropped without a word.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.core.with(|state| state.violations.clone())
    }

    /// Fails when there are violations.
    ///
    /// # Panics
    /// Then, with all of them.
    pub fn assert_clean(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "the server was asked what no server takes:\n{}", violations.join("\n"));
    }

    /// Lets only so many more of these pods be evicted; the labels are a selector. Another call with the name replaces it.
    ///
    /// # Panics
    /// When the selector cannot be read.
    pub fn budget(&self, namespace: &str, name: &str, labels: &str, allowed: usize) {
        let selector = Selector::parse(&PODS, labels, "").unwrap_or_else(|e| panic!("{labels}: {e:?}"));
        self.core.change(|state| state.budgets.insert((namespace.to_owned(), name.to_owned()), Budget { selector, allowed }));
    }

    /// Removes a budget.
    pub fn remove_budget(&self, namespace: &str, name: &str) {
        self.core.change(|state| state.budgets.remove(&(namespace.to_owned(), name.to_owned())));
    }

    /// When pods that are evicted or deleted from now on are gone.
    pub fn grace(&self, grace: Grace) {
        self.core.change(|state| state.grace = grace);
    }

    /// What the kubelet of a node answers at `/configz`.
    pub fn configz(&self, node: &str, configz: Value) {
        self.core.change(|state| state.configz.insert(node.to_owned(), configz));
    }
}

fn key(resource: Resource, namespace: &str, name: &str) -> Key {
    Key { resource, namespace: namespace.to_owned(), name: name.to_owned() }
}
