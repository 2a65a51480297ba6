//! What the threads of a kubelet share.

use super::admit::Admission;
use super::connection::Caller;
use super::endpoint::{Endpoint, Plugin};
use super::latency::Recorder;
use super::merge::TopologyPolicy;
use super::options::{Apply, Misbehave};
use gleaner_host::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A plugin is in use, and was told so.
    Registered {
        /// Its resource.
        resource: String,
        /// Its socket in the folder.
        socket: PathBuf,
    },
    /// A socket is of no use, for now.
    Refused {
        /// The socket.
        socket: PathBuf,
        /// Why, in the words that the plugin was told, if it could be told.
        reason: String,
    },
    /// The socket of a plugin is gone, or another one now.
    Gone {
        /// Its resource.
        resource: String,
        /// Its socket.
        socket: PathBuf,
    },
    /// A plugin had forgotten a container and was asked to allocate again.
    Reallocated {
        /// The pod's uid.
        pod: String,
        /// The container.
        container: String,
        /// The plugin's resource.
        resource: String,
    },
    /// Something that the fork would log and go on.
    Trouble(String),
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    /// By resource.
    pub(super) plugins: BTreeMap<String, Arc<Plugin>>,
    /// Resources whose plugin has heard the verdict.
    pub(super) told: BTreeSet<String>,
    pub(super) events: Vec<Event>,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) folder: PathBuf,
    pub(super) caller: Caller,
    pub(super) policy: TopologyPolicy,
    pub(super) nodes: BTreeSet<u64>,
    pub(super) misbehave: Misbehave,
    pub(super) apply: Mutex<Apply>,
    pub(super) registry: Mutex<Registry>,
    pub(super) changed: Condvar,
    /// By uid.
    pub(super) pods: Mutex<BTreeMap<String, Admission>>,
    pub(super) times: Arc<Mutex<Recorder>>,
}

impl Core {
    pub(super) fn endpoint(&self, socket: &Path) -> Endpoint {
        Endpoint::new(socket, self.caller, Arc::clone(&self.times))
    }

    pub(super) fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.registry.lock().unwrap().plugins.values().cloned().collect()
    }

    pub(super) fn plugin(&self, resource: &str) -> Option<Arc<Plugin>> {
        self.registry.lock().unwrap().plugins.get(resource).cloned()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Registry)) {
        change(&mut self.registry.lock().unwrap());
        self.changed.notify_all();
    }

    pub(super) fn trouble(&self, what: impl fmt::Display) {
        self.change(|registry| registry.events.push(Event::Trouble(what.to_string())));
    }

    /// Waits until there is an answer.
    pub(super) fn wait<T>(&self, what: &str, limit: Duration, mut look: impl FnMut(&Registry) -> Option<T>) -> T {
        let until = clock::now().after(limit);
        let mut registry = self.registry.lock().unwrap();
        loop {
            if let Some(found) = look(&registry) {
                return found;
            }
            let left = until.since(clock::now());
            if left.is_zero() {
                let (folder, plugins, events) =
                    (self.folder.display(), registry.plugins.keys().cloned().collect::<Vec<_>>(), &registry.events);
                let text = format!("still not so after {limit:?}: {what}\nfolder {folder}, plugins {plugins:?}, events {events:#?}");
                // A panic under the lock would make every thread fail after this one.
                drop(registry);
                panic!("{text}");
            }
            registry = self.changed.wait_timeout(registry, left).unwrap().0;
        }
    }
}
