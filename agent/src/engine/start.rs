//! From a checked configuration to a running engine.

use super::parts::Parts;
use super::{Engine, Event};
use crate::config::{Config, Mode};
use crate::error::AgentError;
use crate::manifest::{self, FolderEvent};
use crate::qrm::Qrm;
use crate::runtime::Runtime;
use crate::stock::Stock;
use crate::store::{Loaded, Store, machine_id};
use gleaner_host::arbiter::Arbiter;
use gleaner_host::cgroup::{self, FoundPod, Layout};
use gleaner_host::lock::Lock;
use gleaner_host::node::Inventory;
use gleaner_host::psi::{Trigger, Watcher};
use gleaner_host::sampler::{Sampler, SamplerCore};
use gleaner_host::{HostError, clock, topology};
use gleaner_model::{CgroupPath, Pool, Reason, Subject, Timestamp};
use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What a started engine is driven and watched by.
pub(crate) struct Started {
    pub(crate) engine: Engine,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) sender: mpsc::Sender<Event>,
}

/// Room for what may happen during one tick; a full queue makes the sampler's thread wait, which only delays the next sample.
const QUEUE: usize = 64;

/// Takes the node over: locks, journal, promises, pods that run already. Nothing is written to a pod before the first sample.
///
/// # Errors
/// When the node cannot be taken: no rights, another agent, a foreign tree, no cgroups, no topology.
pub(crate) fn start(config: Config, config_file: Option<PathBuf>) -> Result<Started, AgentError> {
    let now = clock::now();
    make_private(&config.state_dir)?;
    let layout = Layout::detect()?;
    let mut locks = vec![Lock::take(&config.state_dir.join("lock"))?];
    let (topology, topology_warning) = topology::detect()?;
    let topology = Arc::new(topology);
    config.check_against(&topology).map_err(AgentError::Config)?;
    locks.extend(lock_tree(&layout, &config)?);
    let pod_root = pod_root(&layout, &config);
    let (mut arbiter, warnings) = Arbiter::open(layout.clone(), pod_root.clone(), &config.journal())?;
    let inventory = Inventory::read()?;
    let mut store = Store::new(config.promises(), machine_id(), inventory.boot_id.clone(), config.mode == Mode::Standalone);
    let loaded = store.load()?;
    if config.mode == Mode::Standalone {
        refuse_foreign_pods(&layout, &config, &arbiter, &loaded)?;
        arbiter.create(&pod_root, &[])?;
    }
    let (qrm, stock) = sources(&config, &pod_root)?;
    let (sender, events) = mpsc::channel(QUEUE);
    let deliver = sender.clone();
    let sampler = Sampler::start(SamplerCore::new(layout.clone()), config.sampling_period.get(), move |sample| {
        // The loop is gone when the agent stops; the sample is then of no use.
        let _ = deliver.blocking_send(Event::Sampled(Box::new(sample)));
    })?;
    let (psi, psi_problem) = watch_pressure(&layout, &pod_root, &sender);
    let taking = super::take_back::TakeBack::start(layout.clone(), sender.clone())?;
    let runtime = Runtime::new(layout.clone(), pod_root.clone(), config.logs(), config.standalone.evicted_back_off.get());
    let parts = Parts {
        config,
        config_file,
        inventory,
        topology,
        layout,
        arbiter,
        store,
        runtime,
        sampler,
        psi,
        taking,
        qrm,
        stock,
        pod_root,
        locks,
    };
    let mut engine = Engine::idle(parts);
    engine.note("journal", None, now);
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    engine.note("topology", topology_warning, now);
    engine.note("psi", psi_problem, now);
    engine.start_recording(&sender, now);
    match engine.config.mode {
        Mode::Standalone => engine.take_over(loaded, now)?,
        Mode::Qrm => engine.take_over_claims(loaded, now),
        Mode::Nri | Mode::Reconcile => engine.take_over_stock(loaded, now),
    }
    Ok(Started { engine, events, sender })
}

impl Engine {
    /// Goes on where an earlier agent stopped.
    fn take_over(&mut self, loaded: Loaded, now: Timestamp) -> Result<(), AgentError> {
        // What was right before is wanted until the folder says otherwise: one that cannot be read now ends nothing.
        self.wanted = manifest::load_last_good(&self.config.last_good(), &self.config.qos);
        self.runtime.set_wanted(&self.wanted, now);
        self.read_manifests(now);
        let happenings = self.runtime.adopt(&mut self.arbiter, now)?;
        self.record_all(happenings, now);
        self.resume(&loaded, now);
        let mut assignment = match loaded {
            Loaded::Promises(promises) => promises.assignment,
            Loaded::Nothing => self.assignment_from_kernel(now),
            Loaded::SetAside(warning) => {
                tracing::warn!("{warning}; the assignment is rebuilt from the kernel's files");
                self.assignment_from_kernel(now)
            }
        };
        let live = self.runtime.live();
        // Promises to pods that ended are over; without the old pool they are placed, and explained, anew.
        assignment.members.retain(|uid, _| live.contains_key(uid));
        assignment.nodes.retain(|uid, _| live.contains_key(uid));
        let kept: BTreeSet<_> = assignment.members.values().cloned().collect();
        assignment.pools.retain(|name, _| !live.is_empty() && (!name.is_dedicated() || kept.contains(name)));
        self.ledger.assign(assignment);
        self.settling = !live.is_empty();
        self.explain_what_was_kept(now);
        self.sampler.set_targets(self.targets());
        Ok(())
    }

    /// Goes on with what containers of the kubelet were promised.
    fn take_over_claims(&mut self, loaded: Loaded, now: Timestamp) {
        self.resume(&loaded, now);
        let Some(qrm) = &mut self.qrm else { return };
        let (mut ledger, mut warnings) = qrm.claims.load();
        warnings.extend(ledger.keep_online(&self.topology.cpus()));
        self.ledger = ledger;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        self.note("promises", warnings.first().map(|first| format!("{} records are of no use, the first: {first}", warnings.len())), now);
        self.settling = !self.live().is_empty();
        self.look_for_pods(now);
        self.verify_claims(now);
        self.explain_what_was_kept(now);
        self.sampler.set_targets(self.targets());
    }

    /// Goes on with the pods of a stock node that an earlier agent knew.
    fn take_over_stock(&mut self, loaded: Loaded, now: Timestamp) {
        self.resume(&loaded, now);
        self.look_for_pods(now);
        let mut assignment = match loaded {
            Loaded::Promises(promises) => promises.assignment,
            Loaded::Nothing => self.assignment_from_kernel(now),
            Loaded::SetAside(warning) => {
                tracing::warn!("{warning}; the assignment is rebuilt from the kernel's files");
                self.assignment_from_kernel(now)
            }
        };
        // CPUs may have gone offline while no agent ran.
        let online = self.topology.cpus();
        assignment.pools.values_mut().for_each(|pool| pool.cpus = pool.cpus.intersection(&online));
        self.ledger.assign(assignment);
        // Who else runs here is not known before somebody has told of all pods.
        self.settling = true;
        self.explain_what_was_kept(now);
        self.sampler.set_targets(self.targets());
    }

    fn resume(&mut self, loaded: &Loaded, now: Timestamp) {
        if let Loaded::Promises(promises) = loaded
            && let Some(lent) = promises.lent
        {
            self.estimator = gleaner_estimator::State::resume(lent.cpu, lent.memory, lent.at);
        }
        self.remember(now);
    }
}

impl Engine {
    /// So that a pod's owner is told why it has its CPUs after a restart too.
    fn explain_what_was_kept(&mut self, now: Timestamp) {
        let live = self.live();
        let kept = |pool: &Pool| Reason::Placed {
            cpus: pool.cpus.clone(),
            mems: pool.mems.clone(),
            moved: 0,
            rule: "kept from an earlier agent".to_owned(),
        };
        for (name, pool) in self.ledger.assignment().pools.clone() {
            if !name.is_dedicated() {
                self.recorder.record(now, Subject::Pool(name), kept(&pool));
            }
        }
        for (uid, pod) in live {
            let Some((name, pool)) = self.ledger.assignment().pool_of(&uid) else { continue };
            let joined = Reason::Joined { class: pod.class(), pool: name.clone(), cpus: pool.cpus.clone() };
            let reason = if name.is_dedicated() { kept(pool) } else { joined };
            self.recorder.record(now, Subject::Pod(pod.name), reason);
        }
    }
}

/// What is kept of a kubelet's pods, by where they come from.
fn sources(config: &Config, pod_root: &CgroupPath) -> Result<(Option<Qrm>, Option<Stock>), AgentError> {
    Ok(match config.mode {
        Mode::Standalone => (None, None),
        Mode::Qrm => (Some(Qrm::open(config)?), None),
        Mode::Nri | Mode::Reconcile => {
            let (stock, warning) = Stock::open(pod_root.clone(), config.stored_pods(), &config.qos);
            warning.iter().for_each(|warning| tracing::warn!("{warning}"));
            (None, Some(stock))
        }
    })
}

fn make_private(dir: &Path) -> Result<(), AgentError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| AgentError::io("create", dir, e))
}

/// The cgroup that all pods live below. A kubelet with the systemd driver has made its own by the time that it asks anybody.
pub(crate) fn pod_root(layout: &Layout, config: &Config) -> CgroupPath {
    let exists = |cgroup: &CgroupPath| layout.hierarchies().iter().any(|mount| mount.join(cgroup.relative()).is_dir());
    let systemd = config.cgroup_root.join("kubepods.slice").ok().filter(|_| config.mode != Mode::Standalone);
    systemd.filter(|slice| !exists(&config.kubepods()) && exists(slice)).unwrap_or_else(|| config.kubepods())
}

/// Two agents with different state folders must not work on one tree either.
fn lock_tree(layout: &Layout, config: &Config) -> Result<Option<Lock>, AgentError> {
    let controller = cgroup::Controller::Cpu;
    let parent = config.cgroup_root.clone();
    match layout.dir(controller, &parent) {
        Some(dir) if dir.is_dir() => Ok(Some(Lock::take_dir(&dir)?)),
        Some(dir) => Err(AgentError::io("open", &dir, std::io::Error::other("cgroupRoot does not exist"))),
        None => Ok(None),
    }
}

/// A node with a kubelet has the same tree; its pods are not ours to end. Ours are in the journal, and should that be lost in the promises.
fn refuse_foreign_pods(layout: &Layout, config: &Config, arbiter: &Arbiter, loaded: &Loaded) -> Result<(), AgentError> {
    let exists = layout.hierarchies().iter().any(|mount| mount.join(config.kubepods().relative()).is_dir());
    if !exists {
        return Ok(());
    }
    let promised = |pod: &FoundPod| matches!(loaded, Loaded::Promises(promises) if promises.assignment.members.contains_key(&pod.uid));
    let foreign = cgroup::discover(layout, &config.kubepods())?.into_iter().find(|pod| !arbiter.created(&pod.cgroup) && !promised(pod));
    match foreign {
        Some(pod) => Err(AgentError::ForeignTree { cgroup: config.kubepods().to_string(), example: pod.cgroup.to_string() }),
        None => Ok(()),
    }
}

/// Memory pressure of the node, and of the pods' tree where the kernel keeps it.
fn watch_pressure(layout: &Layout, pod_root: &CgroupPath, sender: &mpsc::Sender<Event>) -> (Option<Watcher>, Option<String>) {
    // Where the pods' own file is missing the node's tells as much.
    let pods = layout.unified_dir(pod_root).map(|dir| ("pods", dir.join("memory.pressure"))).filter(|(_, file)| file.exists());
    let files: Vec<_> = std::iter::once(("node", PathBuf::from("/proc/pressure/memory"))).chain(pods).collect();
    let start = |stall: u64, window: u64| {
        let deliver = sender.clone();
        let (stall, window) = (Duration::from_millis(stall), Duration::from_millis(window));
        let triggers =
            files.iter().map(|(name, file)| Trigger { name: (*name).to_owned(), file: file.clone(), full: false, stall, window });
        Watcher::start(triggers.collect(), move |event| {
            // When the queue is full a tick is waiting anyway.
            let _ = deliver.try_send(Event::PressureFired(event));
        })
    };
    // 500 ms is the kernel's shortest window, in which it looks ten times; without CAP_SYS_RESOURCE it takes only multiples of 2 s.
    let (psi, short) = judge(start(50, 500));
    let Some(refused) = short else { return (psi, None) };
    match judge(start(200, 2000)) {
        (psi @ Some(_), None) => {
            tracing::debug!("{refused}");
            let slow = "memory pressure is told within 2 s and not at once: the kernel takes shorter windows with CAP_SYS_RESOURCE only";
            (psi, Some(slow.to_owned()))
        }
        (psi, _) => (psi, Some(format!("memory pressure is only polled: {refused}"))),
    }
}

/// The watcher, and what is wrong with it.
fn judge(started: Result<(Watcher, Vec<(String, HostError)>), HostError>) -> (Option<Watcher>, Option<String>) {
    match started {
        Ok((watcher, failed)) => (Some(watcher), failed.first().map(|(_, error)| error.to_string())),
        Err(error) => (None, Some(error.to_string())),
    }
}

/// Brings signals and changes of the folder of manifests into the loop.
///
/// # Errors
/// When signals cannot be received.
pub(crate) fn feed(sender: &mpsc::Sender<Event>, manifests: Option<PathBuf>) -> Result<(), AgentError> {
    let handlers: [(SignalKind, fn() -> Event); 4] = [
        (SignalKind::child(), || Event::ContainerEnded),
        (SignalKind::hangup(), || Event::ConfigurationChanged),
        (SignalKind::terminate(), || Event::Shutdown),
        (SignalKind::interrupt(), || Event::Shutdown),
    ];
    for (kind, event) in handlers {
        let mut stream = signal(kind).map_err(|e| AgentError::io("receive", Path::new("signals"), e))?;
        let sender = sender.clone();
        tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(event()).await.is_ok() {} });
    }
    let (Some(manifests), sender) = (manifests, sender.clone()) else { return Ok(()) };
    let watched = manifest::watch(manifests.clone(), move |event| {
        let event = match event {
            FolderEvent::Changed => Event::PodsChanged,
            FolderEvent::Unwatchable(problem) => Event::PartDoes { part: "manifests".into(), problem: Some(problem) },
        };
        sender.blocking_send(event).is_ok()
    });
    watched.map_err(|e| AgentError::io("watch", &manifests, e))
}
