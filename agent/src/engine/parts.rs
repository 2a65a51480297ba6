use super::Engine;
use super::remembering::Remembering;
use crate::config::Config;
use crate::estimators::Advisers;
use crate::health::Health;
use crate::histories::HistoryFile;
use crate::qrm::Qrm;
use crate::recorder::Recorder;
use crate::remote::RemotePlugins;
use crate::runtime::Runtime;
use crate::stock::Stock;
use crate::store::Store;
use crate::store::machine_id;
use gleaner_host::arbiter::Arbiter;
use gleaner_host::cgroup::Layout;
use gleaner_host::clock;
use gleaner_host::lock::Lock;
use gleaner_host::node::Inventory;
use gleaner_host::psi::Watcher;
use gleaner_host::sampler::Sampler;
use gleaner_model::{CgroupPath, Plan};
use gleaner_qrm_plugins::Ledger;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What an engine is made of.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) config_file: Option<PathBuf>,
    pub(super) inventory: Inventory,
    pub(super) topology: Arc<gleaner_model::Topology>,
    pub(super) layout: Layout,
    pub(super) arbiter: Arbiter,
    pub(super) store: Store,
    pub(super) runtime: Runtime,
    pub(super) sampler: Sampler,
    pub(super) psi: Option<Watcher>,
    pub(super) taking: super::take_back::TakeBack,
    pub(super) qrm: Option<Qrm>,
    pub(super) stock: Option<Stock>,
    pub(super) pod_root: CgroupPath,
    pub(super) locks: Vec<Lock>,
}

impl Engine {
    /// An engine that has done nothing yet.
    #[allow(clippy::too_many_lines, reason = "one line a field")]
    pub(super) fn idle(parts: Parts) -> Self {
        let Parts {
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
        } = parts;
        let remote = RemotePlugins::new(&config.plugins);
        let base = config.clone();
        let remembering = Remembering::new(HistoryFile::new(config.histories(), machine_id(), clock::now()));
        Self {
            config,
            config_file,
            inventory,
            topology,
            layout,
            arbiter,
            store,
            runtime,
            sampler,
            _psi: psi,
            manifests: Vec::new(),
            wanted: BTreeMap::new(),
            settling: false,
            ledger: Ledger::default(),
            qrm,
            stock,
            cluster: None,
            base,
            followed: None,
            configuration_refused: None,
            evicting: BTreeSet::new(),
            spared: BTreeMap::new(),
            remote,
            remote_parts: BTreeSet::new(),
            pod_root,
            remembering,
            estimator: gleaner_estimator::State::default(),
            advisers: Advisers::default(),
            advice: BTreeMap::new(),
            told: tokio::sync::watch::Sender::new(None),
            eviction: gleaner_eviction::State::default(),
            estimate: None,
            sample: None,
            settled: None,
            planned: None,
            goal: Plan::new(),
            plan: Plan::new(),
            mems: BTreeMap::new(),
            taking,
            unwritten: BTreeSet::new(),
            not_offered: BTreeSet::new(),
            pressure_fired: false,
            stopping: false,
            recorder: Recorder::default(),
            recording: None,
            health: Health::default(),
            ticks: 0,
            _locks: locks,
        }
    }
}
