//! A container runtime as its plugins (Node Resource Interface) see it, for tests from outside: it takes connections, tells of pods and
//! containers as they come and go, applies what plugins answer, and is as strict and as unforgiving as the real ones are.
//!
//! It shares no code with the plugins but the messages: frames and calls are written here too. What it does was recorded from containerd 1.7 and
//! 2.1; what newer ones do was read in their source.

mod amounts;
mod check;
mod collect;
mod connection;
mod core;
mod events;
mod lifecycle;
mod listen;
mod log;
mod message;
mod mux;
mod options;
mod pod;
mod reader;
mod service;
mod session;
mod synchronize;
mod ttrpc;
mod update;
mod world;
mod writer;

pub use self::amounts::Amounts;
pub use self::log::Entry;
pub use self::options::{Limits, Machine, Mood, Options, Version};
pub use self::pod::{ContainerSpec, ContainerState, PodSpec};
pub use self::writer::{KernelWriter, NoWriter, Writer};

use self::core::Core;
use gleaner_model::CgroupPath;
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A container that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// Its cgroup, which is made when it starts.
    pub cgroup: CgroupPath,
    /// Its resources after all adjustments.
    pub resources: Amounts,
    /// The annotations of its specification.
    pub annotations: BTreeMap<String, String>,
    /// Environment variables that plugins gave it.
    pub env: BTreeMap<String, String>,
    /// The plugins that answered, in their order. Without one here, it was created all the same.
    pub by: Vec<String>,
}

/// What the runtime has of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How far it is.
    pub state: ContainerState,
    /// What the runtime writes whenever anything changes.
    pub resources: Amounts,
    /// Its cgroup.
    pub cgroup: CgroupPath,
}

/// A running runtime. Every call blocks; several threads may call at once, and are served one after the other. Dropping it ends its threads and
/// hangs up; what plugins did wrong fails a test only through [`Runtime::assert_clean`].
#[derive(Debug)]
pub struct Runtime {
    core: Arc<Core>,
    listener: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Listens on `nri.sock` in a folder, which is made when it is not there.
    ///
    /// # Panics
    /// When that is impossible.
    #[must_use]
    pub fn start(folder: &Path, options: Options) -> Self {
        let core = Arc::new(Core::new(folder.join("nri.sock"), options));
        let mut runtime = Self { core, listener: None };
        runtime.listen();
        runtime
    }

    fn listen(&mut self) {
        let socket = &self.core.socket;
        let listener = listen::open(socket).unwrap_or_else(|e| panic!("{}: {e}", socket.display()));
        let core = Arc::clone(&self.core);
        let run = move || listen::run(&core, &listener);
        self.listener = Some(thread::Builder::new().name("runtime-listen".to_owned()).spawn(run).expect("a thread"));
    }

    /// The socket for plugins.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.core.socket.clone()
    }

    /// Runs a pod's sandbox. Returns its id.
    ///
    /// # Errors
    /// As kubelet would see it.
    pub fn run_pod(&self, spec: &PodSpec) -> Result<String, String> {
        lifecycle::run_pod(&self.core, spec.clone())
    }

    /// Creates a container in a sandbox.
    ///
    /// # Errors
    /// As kubelet would see it.
    pub fn create_container(&self, sandbox: &str, spec: &ContainerSpec) -> Result<Created, String> {
        lifecycle::create_container(&self.core, sandbox, spec.clone())
    }

    /// Starts a created container.
    ///
    /// # Errors
    /// As kubelet would see it; the container stays, and may be started again or removed.
    pub fn start_container(&self, id: &str) -> Result<(), String> {
        lifecycle::start_container(&self.core, id)
    }

    /// Creates and starts a container.
    ///
    /// # Errors
    /// As kubelet would see it.
    pub fn run_container(&self, sandbox: &str, spec: &ContainerSpec) -> Result<Created, String> {
        let created = self.create_container(sandbox, spec)?;
        self.start_container(&created.id).map(|()| created)
    }

    /// Changes a container, as kubelet's CPU manager does. Returns what its specification is then.
    ///
    /// # Errors
    /// As kubelet would see it.
    pub fn update_container(&self, id: &str, wants: &Amounts) -> Result<Amounts, String> {
        update::requested(&self.core, id, wants)
    }

    /// Ends a container's processes.
    ///
    /// # Errors
    /// When there is no such container, or its cgroup cannot be removed.
    pub fn stop_container(&self, id: &str) -> Result<(), String> {
        lifecycle::stop_container(&self.core, id, true)
    }

    /// A container ends by itself.
    ///
    /// # Errors
    /// As [`Runtime::stop_container`].
    pub fn exit_container(&self, id: &str) -> Result<(), String> {
        lifecycle::stop_container(&self.core, id, false)
    }

    /// Removes a container, which is stopped if it runs.
    ///
    /// # Errors
    /// As [`Runtime::stop_container`].
    pub fn remove_container(&self, id: &str) -> Result<(), String> {
        lifecycle::remove_container(&self.core, id)
    }

    /// Stops a pod's containers and its sandbox.
    ///
    /// # Errors
    /// As [`Runtime::stop_container`].
    pub fn stop_pod(&self, sandbox: &str) -> Result<(), String> {
        lifecycle::stop_pod(&self.core, sandbox)
    }

    /// Removes a pod's containers and its sandbox. Its cgroup is kubelet's to remove.
    ///
    /// # Errors
    /// As [`Runtime::stop_container`].
    pub fn remove_pod(&self, sandbox: &str) -> Result<(), String> {
        lifecycle::remove_pod(&self.core, sandbox)
    }

    /// What the runtime has of a container, unless it was removed.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<Status> {
        let world = self.core.world.lock().unwrap();
        let held = world.containers.get(id)?;
        Some(Status { state: held.state?, resources: held.amounts.clone(), cgroup: held.cgroup.clone() })
    }

    /// The plugins that get events, in their order, as in `10-gleaner`.
    #[must_use]
    pub fn plugins(&self) -> Vec<String> {
        self.core.plugins().iter().map(|plugin| plugin.label()).collect()
    }

    /// How many connections are open, of plugins or not.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.connections().len()
    }

    /// Waits until a plugin gets events. Returns its index and name.
    ///
    /// # Panics
    /// When there is none by then.
    pub fn wait_for_plugin(&self, limit: Duration) -> String {
        self.core.log.wait("a plugin is added", limit, |_, _| self.plugins().pop())
    }

    /// Waits until what happened so far answers a question.
    ///
    /// # Panics
    /// When it does not by then.
    pub fn wait_for<T>(&self, what: &str, limit: Duration, mut look: impl FnMut(&[Entry]) -> Option<T>) -> T {
        self.core.log.wait(what, limit, |entries, _| look(entries))
    }

    /// Waits until a plugin breaks a rule in these words, or has. Returns the whole complaint.
    ///
    /// # Panics
    /// When it does not by then.
    pub fn wait_for_violation(&self, words: &str, limit: Duration) -> String {
        let found = |violations: &[String]| violations.iter().find(|violation| violation.contains(words)).cloned();
        self.core.log.wait(&format!("a violation {words:?}"), limit, |_, violations| found(violations))
    }

    /// What happened so far.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.core.log.entries()
    }

    /// The rules that plugins broke so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.core.log.violations()
    }

    /// Forgets the rules that were broken so far, and returns them: a test that expects some checks the rest with [`Runtime::assert_clean`].
    pub fn forgive(&self) -> Vec<String> {
        self.core.log.forgive()
    }

    /// # Panics
    /// When a plugin broke a rule.
    pub fn assert_clean(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "plugins broke rules: {violations:#?}\nlog: {:#?}", self.log());
    }

    /// Treats plugins like this from the next handshake on.
    pub fn set_mood(&self, mood: Mood) {
        *self.core.mood.lock().unwrap() = mood;
    }

    /// Stops reading and answering, like a process that hangs, or goes on. New connections are let in and then nothing happens.
    pub fn silence(&self, silent: bool) {
        self.core.gate.set(silent);
    }

    /// Closes all connections.
    pub fn hang_up(&self) {
        self.core.close_all("the runtime hung up");
    }

    /// Closes all connections in the middle of a frame.
    pub fn drop_mid_frame(&self) {
        let mut half = vec![0, 0, 0, 1, 0, 0, 1, 0];
        half.extend([0; 20]);
        self.send_raw(&half);
        self.core.close_all("the runtime broke off within a frame");
    }

    /// Sends these bytes to every connection, whatever they are.
    pub fn send_raw(&self, bytes: &[u8]) {
        for connection in self.core.connections() {
            if let Err(error) = connection.raw(bytes) {
                self.core.log.note(format!("{}: {error}", connection.label()));
            }
        }
    }

    /// Sends this payload in a frame to every connection.
    pub fn send_frame(&self, stream: u32, payload: &[u8]) {
        self.send_raw(&mux::frames(stream, payload, usize::MAX));
    }

    /// Ends like a process that is killed: connections are closed, the socket's file stays and nobody answers there. Containers run on.
    ///
    /// # Panics
    /// When a thread of it panicked.
    pub fn stop(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        self.core.stopping.store(true, Ordering::SeqCst);
        self.core.gate.set(false);
        self.core.close_all("the runtime stops");
        // Wakes the listener, which looks whether it is to end.
        let woken = UnixStream::connect(&self.core.socket);
        let all = listener.join().is_ok();
        drop(woken);
        // What was taken while the others were closed.
        self.core.close_all("the runtime stops");
        assert!(self.core.join() && all || thread::panicking(), "a thread of the runtime panicked");
    }

    /// Starts again after [`Runtime::stop`], with the same pods and containers.
    ///
    /// # Panics
    /// When it runs.
    pub fn start_again(&mut self) {
        assert!(self.listener.is_none(), "the runtime runs");
        self.core.stopping.store(false, Ordering::SeqCst);
        self.listen();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}
