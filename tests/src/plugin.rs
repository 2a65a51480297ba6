//! A double of a resource plugin in another process: strict about what it is asked, and behaving as it is told.

mod service;

use crate::Deadline;
use crate::serving::{Callers, block_on};
use gleaner_crds::keys::plugin_version::V1ALPHA1;
use gleaner_crds::resourceplugin::registration_client::RegistrationClient;
use gleaner_crds::resourceplugin::resource_plugin_server::ResourcePluginServer;
use gleaner_crds::resourceplugin::{RegisterRequest, ResourcePluginOptions};
use service::{Service, Shared};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tokio::sync::watch;
use tonic::transport::{Endpoint, Server};

/// How a plugin answers from now on.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Mood {
    /// It does what it is asked.
    #[default]
    Good,
    /// It says no, in these words.
    Refuses(String),
    /// It does what it is asked, and no answer comes.
    Hangs,
    /// Its process ends in the middle of the next call.
    Dies,
    /// It answers with what makes no sense.
    Raves,
}

/// What a plugin does and what it has seen.
#[derive(Debug, Default)]
pub struct Script {
    /// How it answers.
    pub mood: Mood,
    /// What it tells of itself.
    pub options: ResourcePluginOptions,
    /// NUMA nodes of the hints that it gives, each preferred; empty: no preference.
    pub hints: Vec<u64>,
    /// Environment variables of what it allocates.
    pub envs: BTreeMap<String, String>,
    /// What it gave, by pod and container.
    pub held: BTreeMap<String, BTreeMap<String, f64>>,
    /// The calls in their order: name of the call, and the pod.
    pub calls: Vec<String>,
    /// What a caller did that it must not do.
    pub breaches: BTreeSet<String>,
}

/// A plugin for one resource. Dropped, its process ends; breaches of its caller fail the test then.
pub struct Plugin {
    folder: PathBuf,
    socket: String,
    resource: String,
    shared: Arc<Shared>,
    process: Option<JoinHandle<()>>,
}

impl Plugin {
    /// Starts one that listens in this folder. It does not register by itself.
    #[must_use]
    pub fn start(folder: &Path, resource: &str, options: ResourcePluginOptions) -> Self {
        let socket = format!("{}.sock", resource.replace('/', "_"));
        Self::start_on(folder, &socket, resource, options)
    }

    /// The same on a socket of this name.
    #[must_use]
    pub fn start_on(folder: &Path, socket: &str, resource: &str, options: ResourcePluginOptions) -> Self {
        let script = Mutex::new(Script { options, ..Script::default() });
        let shared = Arc::new(Shared { resource: resource.to_owned(), script, alive: watch::channel(false).0 });
        let mut plugin =
            Self { folder: folder.to_owned(), socket: socket.to_owned(), resource: resource.to_owned(), shared, process: None };
        plugin.restart();
        plugin
    }

    /// What it does and has seen.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script()
    }

    /// Registers with whoever serves `kubelet.sock` in its folder; with its options, or so that it has to be asked for them.
    ///
    /// # Errors
    /// The words of the refusal.
    pub fn register(&self, with_options: bool) -> Result<(), String> {
        let options = with_options.then(|| self.script().options.clone());
        let request =
            RegisterRequest { version: V1ALPHA1.to_owned(), endpoint: self.socket.clone(), resource_name: self.resource.clone(), options };
        register(&self.folder, request)
    }

    /// Ends its process, as a crash does: its socket stays and nobody answers.
    pub fn die(&mut self) {
        self.shared.alive.send_replace(false);
        if let Some(process) = self.process.take() {
            process.join().unwrap();
        }
    }

    /// Waits until its process has ended by itself.
    pub fn wait_for_death(&mut self) {
        let deadline = Deadline::usual();
        while *self.shared.alive.borrow() {
            assert!(deadline.again(), "the plugin still lives");
        }
        self.die();
    }

    /// Starts its process again, good and with what it remembers.
    pub fn restart(&mut self) {
        self.die();
        self.script().mood = Mood::Good;
        let path = self.folder.join(&self.socket);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.shared.alive.send_replace(true);
        let shared = Arc::clone(&self.shared);
        self.process = Some(std::thread::spawn(move || run(listener, shared)));
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.die();
        let breaches = &self.script().breaches;
        assert!(std::thread::panicking() || breaches.is_empty(), "the caller of {} broke rules: {breaches:#?}", self.resource);
    }
}

/// Registers a plugin by this very request.
///
/// # Errors
/// The words of the refusal.
pub fn register(folder: &Path, request: RegisterRequest) -> Result<(), String> {
    let uri = format!("unix://{}", folder.join("kubelet.sock").display());
    block_on(async {
        let channel = Endpoint::from_shared(uri).unwrap().connect().await.map_err(|e| e.to_string())?;
        let answer = RegistrationClient::new(channel).register(request).await;
        answer.map(|_| ()).map_err(|status| status.message().to_owned())
    })
}

fn run(listener: UnixListener, shared: Arc<Shared>) {
    block_on(async {
        let callers = Callers::of(listener);
        let mut alive = shared.alive.subscribe();
        let served = Server::builder().add_service(ResourcePluginServer::new(Service(shared))).serve_with_incoming(callers);
        tokio::select! {
            served = served => served.unwrap(),
            // Whatever is under way is cut off with the runtime.
            ended = alive.wait_for(|alive| !alive) => drop(ended),
        }
    });
}
