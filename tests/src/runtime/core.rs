//! What the threads of a runtime share.

use super::connection::Connection;
use super::log::{Entry, Log};
use super::options::{Limits, Machine, Mood, Version};
use super::world::World;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

/// Where the runtime stops while it is silent.
#[derive(Debug, Default)]
pub(super) struct Gate {
    shut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.changed.notify_all();
    }

    pub(super) fn pass(&self) {
        let shut = self.shut.lock().unwrap();
        drop(self.changed.wait_while(shut, |shut| *shut).unwrap());
    }
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) socket: PathBuf,
    pub(super) version: Version,
    pub(super) runtime_version: String,
    pub(super) protocol: String,
    /// Whether plugins may call UpdateContainers.
    pub(super) takes_updates: bool,
    pub(super) limits: Limits,
    pub(super) machine: Machine,
    pub(super) mood: Mutex<Mood>,
    pub(super) log: Log,
    pub(super) gate: Gate,
    /// Held over a handshake's Synchronize; unsolicited updates wait for it. Taken before `world`.
    pub(super) synchronizing: Mutex<()>,
    /// Held over each request of the caller of the runtime and the events that it causes.
    pub(super) world: Mutex<World>,
    /// Those that get events, in their order.
    plugins: Mutex<Vec<Arc<Connection>>>,
    connections: Mutex<Vec<Arc<Connection>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) stopping: AtomicBool,
    pub(super) taken: AtomicU64,
}

impl Core {
    pub(super) fn new(socket: PathBuf, options: super::Options) -> Self {
        Self {
            socket,
            version: options.version,
            runtime_version: options.runtime_version().to_owned(),
            takes_updates: options.takes_updates(),
            protocol: options.protocol,
            limits: options.limits,
            machine: options.machine,
            mood: Mutex::new(options.mood),
            log: Log::default(),
            gate: Gate::default(),
            synchronizing: Mutex::new(()),
            world: Mutex::new(World::new(options.writer)),
            plugins: Mutex::default(),
            connections: Mutex::default(),
            threads: Mutex::default(),
            stopping: AtomicBool::new(false),
            taken: AtomicU64::new(0),
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Runs work beside the rest; it is waited for when the runtime stops.
    pub(super) fn spawn(self: &Arc<Self>, name: &str, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let core = Arc::clone(self);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&core)).expect("a thread");
        self.threads.lock().unwrap().push(thread);
    }

    /// Waits for all that was spawned. False when some of it panicked.
    pub(super) fn join(&self) -> bool {
        let mut all = true;
        loop {
            // Not under the lock: what ends may spawn before.
            let Some(thread) = self.threads.lock().unwrap().pop() else { return all };
            all &= thread.join().is_ok();
        }
    }

    pub(super) fn connected(&self, connection: &Arc<Connection>) {
        self.connections.lock().unwrap().push(Arc::clone(connection));
        self.log.add(Entry::Connected(connection.number));
        if self.is_stopping() {
            self.close(connection, "the runtime stops");
        }
    }

    /// From now on a plugin gets events.
    pub(super) fn add(&self, connection: &Arc<Connection>) {
        let mut plugins = self.plugins.lock().unwrap();
        plugins.push(Arc::clone(connection));
        // By index, which is the first part; equal ones in the order in which they came.
        plugins.sort_by_key(|plugin| plugin.label());
        plugins.retain(|plugin| !plugin.is_closed());
        drop(plugins);
        self.log.add(Entry::Added(connection.label()));
    }

    pub(super) fn plugins(&self) -> Vec<Arc<Connection>> {
        self.plugins.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().unwrap().clone()
    }

    pub(super) fn close(&self, connection: &Connection, why: &str) {
        let first = connection.close();
        for list in [&self.plugins, &self.connections] {
            list.lock().unwrap().retain(|each| each.number != connection.number);
        }
        if first {
            self.log.add(Entry::Closed { plugin: connection.label(), why: why.to_owned() });
        }
    }

    pub(super) fn close_all(&self, why: &str) {
        for connection in self.connections() {
            self.close(&connection, why);
        }
    }
}
