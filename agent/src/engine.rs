//! The one event loop: what happened comes in as an [`Event`], and only here is anything done about it.

mod admission;
mod beside_kubelet;
mod calls;
mod choice;
mod configuration;
mod event;
mod evicting;
mod figures;
mod foreign;
mod headroom;
mod moving;
mod own;
mod parts;
mod publish;
mod recording;
mod remembering;
mod reporting;
mod runtime_says;
mod sources;
mod start;
mod step;
mod stock;
mod stop;
mod take_back;

pub(crate) use event::{Event, ask};
pub(crate) use start::{Started, feed, pod_root, start};

use crate::config::Config;
use crate::estimators::{Advisers, EstimatorEvent, Told};
use crate::health::Health;
use crate::kubernetes::{Followed, Links};
use crate::manifest::{self, Manifest, Wanted};
use crate::qrm::{Qrm, Served};
use crate::record::Recording;
use crate::recorder::Recorder;
use crate::remote::RemotePlugins;
use crate::runtime::Runtime;
use crate::stock::Stock;
use crate::store::Store;
use gleaner_estimator::Estimate;
use gleaner_host::arbiter::Arbiter;
use gleaner_host::cgroup::Layout;
use gleaner_host::clock;
use gleaner_host::node::Inventory;
use gleaner_host::psi::Watcher;
use gleaner_host::sampler::{Sample, Sampler};
use gleaner_model::{Assignment, CgroupPath, KnobId, KnobKind, Plan, PodUid, PoolName, Subject, Timestamp, Topology};
use gleaner_qrm_plugins::{Ledger, MemsHeld, ResourcePlugin, Supply};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Everything that the agent knows and holds. It lives on one thread.
pub(crate) struct Engine {
    config: Config,
    config_file: Option<PathBuf>,
    inventory: Inventory,
    topology: Arc<Topology>,
    layout: Layout,
    arbiter: Arbiter,
    store: Store,
    runtime: Runtime,
    sampler: Sampler,
    /// Held so that the kernel goes on telling of pressure.
    _psi: Option<Watcher>,
    manifests: Vec<Manifest>,
    wanted: Wanted,
    /// Pods were taken over and nothing is measured yet: they stay as they are until it is.
    settling: bool,
    /// Which CPUs and NUMA nodes everything has; in front of a kubelet also what each container claims.
    ledger: Ledger,
    /// The file of what it remembers.
    remembering: remembering::Remembering,
    estimator: gleaner_estimator::State,
    /// What other processes supplied for regions.
    advisers: Advisers,
    /// What of it held at the last tick.
    advice: BTreeMap<gleaner_estimator::Region, gleaner_estimator::Advice>,
    /// What they are told.
    told: watch::Sender<Option<Told>>,
    eviction: gleaner_eviction::State,
    estimate: Option<Estimate>,
    sample: Option<Sample>,
    /// Pods and pool sizes for which the assignment is what the solver answers.
    settled: Option<(BTreeSet<PodUid>, BTreeMap<PoolName, u32>)>,
    /// What the plan was made from.
    planned: Option<(Assignment, Supply, BTreeSet<PodUid>)>,
    /// What an enhanced kubelet asks, when pods come from one.
    qrm: Option<Qrm>,
    /// What is known of the pods of a stock node, when they come from the API server.
    stock: Option<Stock>,
    /// Who tells the cluster, and asks it to evict, where there is one.
    cluster: Option<Links>,
    /// The configuration of file and flags, over which that of the cluster is laid.
    base: Config,
    /// The configuration of the cluster, where there is one.
    followed: Option<Followed>,
    /// Why it is not in force, where it is not.
    configuration_refused: Option<String>,
    /// Pods whose eviction was ordered and that are not gone yet.
    evicting: BTreeSet<PodUid>,
    /// Pods that could not be evicted, and until when they are left alone.
    spared: BTreeMap<PodUid, Timestamp>,
    /// Resources whose plugins are other processes.
    remote: RemotePlugins,
    /// What of them is among the parts whose health is told.
    remote_parts: BTreeSet<String>,
    /// The cgroup that all pods live below.
    pod_root: CgroupPath,
    /// What was made from it: where all knobs are to be in the end.
    goal: Plan,
    /// What was asked of the kernel in the last tick: the goal, but for memory that waits for its turn to move.
    plan: Plan,
    /// The memory nodes of that plan, by container.
    mems: BTreeMap<CgroupPath, MemsHeld>,
    /// Pods that hold more memory than they may.
    taking: take_back::TakeBack,
    /// Knobs that this kernel does not have.
    not_offered: BTreeSet<KnobKind>,
    /// Knobs of it that were not written.
    unwritten: BTreeSet<KnobId>,
    pressure_fired: bool,
    stopping: bool,
    recorder: Recorder,
    /// Where ticks are recorded, if they are.
    recording: Option<Recording>,
    health: Health,
    ticks: u64,
    /// Held so that no second agent works on the same node.
    _locks: Vec<gleaner_host::lock::Lock>,
}

impl Engine {
    /// Handles events until the agent is to stop and everything is put back.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) -> Vec<String> {
        while let Some(event) = events.recv().await {
            if self.handle(event).is_break() {
                break;
            }
        }
        // The sampler's thread is joined at the end, and would wait for ever for room in a queue that nobody empties.
        drop(events);
        self.finish()
    }

    /// The plugins that are to be served.
    pub(crate) fn plugins(&self) -> Vec<Served> {
        let of = |plugin: &dyn ResourcePlugin| Served {
            resource: plugin.resource().to_owned(),
            socket: plugin.socket().to_owned(),
            options: plugin.options(),
        };
        self.qrm.iter().flat_map(|qrm| qrm.plugins.iter()).map(|plugin| of(plugin)).collect()
    }

    /// Whether the runtime may be told of files of cgroup v2.
    pub(crate) fn is_unified(&self) -> bool {
        self.layout.mode() == gleaner_host::cgroup::Mode::V2
    }

    /// The host's name, which the node mostly has too.
    pub(crate) fn hostname(&self) -> &str {
        &self.inventory.hostname
    }

    /// The one place where events are handled.
    fn handle(&mut self, event: Event) -> ControlFlow<()> {
        let now = clock::now();
        match event {
            Event::Sampled(sample) => {
                self.ticks += 1;
                self.sample = Some(*sample);
                // Rates need two samples; of pods that nobody told of yet, nothing is known at all.
                let known = self.stock.as_ref().is_none_or(|stock| stock.known);
                self.settling &= self.ticks < 2 || !known;
                self.step_unless_settling(now);
            }
            Event::PodsChanged => {
                self.read_manifests(now);
                self.step_unless_settling(now);
            }
            Event::PressureFired(event) => {
                tracing::debug!(trigger = event.name, "memory pressure");
                self.pressure_fired = true;
                self.sampler.sample_now();
            }
            Event::ContainerEnded => {
                let happenings = self.runtime.advance(&mut self.arbiter, now);
                self.record_all(happenings, now);
            }
            // Who asked and went away is nobody to answer.
            Event::StateAsked(answer) => drop(answer.send(Box::new(self.state(now)))),
            Event::EstimatorSaid(event) => self.estimator_said(event, now),
            Event::Remote(event) => self.remote_happened(event, now),
            Event::PluginCalled(call) => self.plugin_called(call, now),
            Event::PodsTold(event) => self.pods_told(event, now),
            Event::KubeletDoes(event) => self.kubelet_does(event, now),
            Event::Evicted(pod, outcome) => self.evicted(pod, &outcome, now),
            Event::RuntimeSays(event) => self.runtime_says(*event, now),
            Event::MemoryTakenBack(done) => self.memory_taken_back(*done, now),
            Event::ConfigurationChanged => self.reload(now),
            Event::ConfigurationTold(event) => self.configuration_told(event, now),
            Event::PartDoes { part, problem } => self.note(part, problem, now),
            Event::Shutdown => self.begin_stop(now),
        }
        // The kubelet's pods are not ours to end.
        if self.stopping && self.runtime.live().is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// What was taken over goes on as it was until something is measured: what is unknown would lend nothing, and squeeze every reclaimed pod.
    fn step_unless_settling(&mut self, now: Timestamp) {
        if !self.settling {
            self.step(now);
        }
    }

    pub(crate) fn note(&mut self, part: impl Into<Cow<'static, str>>, problem: Option<String>, now: Timestamp) {
        if let Some(reason) = self.health.note(part, problem, now) {
            self.recorder.record(now, Subject::Node, reason);
        }
    }

    /// What estimators in other processes are told, as it changes.
    pub(crate) fn told(&self) -> watch::Receiver<Option<Told>> {
        self.told.subscribe()
    }

    fn estimator_said(&mut self, event: EstimatorEvent, now: Timestamp) {
        let EstimatorEvent { name, said } = event;
        let problem = match said {
            Ok(advice) => {
                self.advisers.said(&name, advice);
                None
            }
            Err(problem) => Some(format!("{problem}; the own policies stand in")),
        };
        self.note(format!("estimator {name}"), problem, now);
    }

    fn record_all(&mut self, happenings: Vec<crate::runtime::Happening>, now: Timestamp) {
        for (pod, reason) in happenings {
            self.recorder.record(now, Subject::Pod(pod), reason);
        }
    }

    fn read_manifests(&mut self, now: Timestamp) {
        if self.kubelets_pods().is_some() {
            return;
        }
        match manifest::read_folder(&self.config.standalone.manifests, &self.config.qos) {
            Ok(manifests) => {
                for manifest in &manifests {
                    if let Err(problems) = &manifest.pod
                        && !self.manifests.contains(manifest)
                    {
                        tracing::warn!(file = manifest.source, "manifest refused: {}", problems.join("; "));
                    }
                }
                self.note("manifests", None, now);
                self.manifests = manifests;
                self.want(manifest::wanted(&self.manifests, &self.wanted), now);
            }
            // Pods go on as they are: a folder that cannot be read asks for nothing.
            Err(error) => self.note("manifests", Some(format!("read {}: {error}", self.config.standalone.manifests.display())), now),
        }
    }

    fn want(&mut self, wanted: Wanted, now: Timestamp) {
        if wanted != self.wanted {
            // Only a slip that meets a restart would miss it, so a full disk stops nothing here.
            let saved = manifest::save_last_good(&self.config.last_good(), &wanted);
            self.note("manifests", saved.err().map(|e| e.to_string()), now);
        }
        self.wanted = wanted;
        self.runtime.set_wanted(&self.wanted, now);
    }
}
