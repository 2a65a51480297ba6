//! A kubelet of the kind that asks resource plugins, for tests from outside: it watches a folder for their sockets, admits pods through
//! them, applies what they answer, and is strict about all of it.
//!
//! It decides nothing of its own and shares no code with the plugins but the messages. The transport is written here too: the fork sends
//! the path of the socket as `:authority`, which no client of Rust does.

mod admit;
mod check;
mod connection;
mod core;
mod endpoint;
mod frame;
mod hpack;
mod huffman;
mod latency;
mod merge;
mod options;
mod pod;
mod reader;
mod reconcile;
mod response;
mod status;
mod watch;

pub use self::admit::{Admitted, AdmittedContainer, Rejection, Stage};
pub use self::connection::{Authority, Caller, Connection, raw_call};
pub use self::core::Event;
pub use self::hpack::HeaderStyle;
pub use self::latency::Latency;
pub use self::merge::TopologyPolicy;
pub use self::options::{Apply, Dropped, FORK_RECONCILES, Misbehave, Options};
pub use self::pod::{QrmContainer, QrmPod};
pub use self::reconcile::Change;
pub use self::status::Status;

use self::core::{Core, Registry};
use gleaner_crds::resourceplugin::{RemovePodRequest, RemovePodResponse};
use gleaner_model::Id;
use prost::Message;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tonic::Code;

/// A running kubelet. Every call blocks; several threads may call at once. Dropping it ends its threads and hangs up.
#[derive(Debug)]
pub struct Kubelet {
    core: Arc<Core>,
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Kubelet {
    /// Watches a folder, which is made when it is not there.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn start(folder: &Path, options: Options) -> Self {
        fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let core = Arc::new(Core {
            folder: folder.to_owned(),
            caller: options.caller,
            policy: options.policy,
            nodes: options.nodes.iter().map(|node| u64::from(node.index())).collect(),
            misbehave: options.misbehave,
            apply: Mutex::new(options.apply),
            registry: Mutex::new(Registry::default()),
            changed: Condvar::new(),
            pods: Mutex::new(BTreeMap::new()),
            times: Arc::default(),
        });
        let mut threads = vec![spawn(&core, "kubelet-watch", watch::run)];
        if let Some(period) = options.reconcile {
            threads.push(spawn(&core, "kubelet-reconcile", move |core, stop| reconcile::run(core, period, stop)));
        }
        Self { core, threads }
    }

    /// Waits until plugins of all these resources are registered and were told so.
    ///
    /// # Panics
    /// When they are not by then; the message shows what happened instead.
    pub fn wait_for_plugins(&self, resources: &[&str], limit: Duration) {
        let all = |registry: &Registry| resources.iter().all(|resource| registry.told.contains(*resource)).then_some(());
        self.core.wait(&format!("plugins of {resources:?} are registered"), limit, all);
    }

    /// Waits until what happened so far answers a question.
    ///
    /// # Panics
    /// When it does not by then.
    pub fn wait_for<T>(&self, what: &str, limit: Duration, mut look: impl FnMut(&[Event]) -> Option<T>) -> T {
        self.core.wait(what, limit, |registry| look(&registry.events))
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.core.registry.lock().unwrap().events.clone()
    }

    /// Admits a pod.
    ///
    /// # Errors
    /// The first thing that went wrong. Plugins are not told that the pod is refused; [`Kubelet::remove`] does that, when the pod is
    /// deleted.
    pub fn admit(&self, pod: &QrmPod) -> Result<Admitted, Rejection> {
        admit::admit(&self.core, pod)
    }

    /// Admits a pod, and removes it at once when it is refused.
    ///
    /// # Errors
    /// As [`Kubelet::admit`].
    pub fn admit_or_remove(&self, pod: &QrmPod) -> Result<Admitted, Rejection> {
        self.admit(pod).inspect_err(|_| {
            if let Err(failed) = self.remove(&pod.uid) {
                self.core.trouble(format!("RemovePod of {}: {failed:?}", pod.uid));
            }
        })
    }

    /// What the kubelet holds for an admitted pod now.
    #[must_use]
    pub fn admitted(&self, uid: &str) -> Option<Admitted> {
        self.core.pods.lock().unwrap().get(uid).map(|admission| admission.admitted.clone())
    }

    /// Asks every plugin that wants it for its allocations, and applies what differs. Returns what was applied.
    pub fn reconcile(&self) -> Vec<Change> {
        reconcile::reconcile(&self.core)
    }

    /// Tells every plugin that a pod is gone.
    ///
    /// # Errors
    /// The plugins that failed, by resource. The kubelet keeps the pod then.
    pub fn remove(&self, uid: &str) -> Result<(), BTreeMap<String, Status>> {
        // Out of sight first, so that a reconciliation under way does not ask for it again.
        let held = self.core.pods.lock().unwrap().remove(uid);
        let request = RemovePodRequest { pod_uid: uid.to_owned() };
        let tell = |plugin: &endpoint::Plugin| plugin.call::<_, RemovePodResponse>("RemovePod", &request).err();
        let failed: BTreeMap<_, _> =
            self.core.plugins().iter().filter_map(|plugin| Some((plugin.resource.clone(), tell(plugin)?))).collect();
        if failed.is_empty() {
            return Ok(());
        }
        self.core.pods.lock().unwrap().extend(held.map(|held| (uid.to_owned(), held)));
        Err(failed)
    }

    /// Any other call of a registered plugin's service, on its connection.
    ///
    /// # Errors
    /// `NotFound` when there is no such plugin; else as the call ends.
    pub fn ask<Q: Message, A: Message + Default>(&self, resource: &str, method: &str, request: &Q) -> Result<A, Status> {
        let plugin = self.core.plugin(resource);
        plugin.ok_or_else(|| Status::new(Code::NotFound, format!("no plugin of {resource}")))?.call(method, request)
    }

    /// How long calls took, by method.
    #[must_use]
    pub fn latencies(&self) -> BTreeMap<String, Latency> {
        self.core.times.lock().unwrap().summary()
    }
}

fn spawn(core: &Arc<Core>, name: &str, run: impl FnOnce(&Core, &Receiver<()>) + Send + 'static) -> (Sender<()>, JoinHandle<()>) {
    let ((stop, stopped), core) = (channel(), Arc::clone(core));
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(&core, &stopped)).expect("a thread");
    (stop, thread)
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        for (stop, thread) in self.threads.drain(..) {
            drop(stop);
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a thread of the kubelet panicked");
        }
    }
}
