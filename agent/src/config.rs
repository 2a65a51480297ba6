//! The agent's configuration: one YAML file and flags, read and checked whole before anything starts.

mod sections;

use crate::cli::{AgentArgs, ConfigArgs};
use crate::estimators::EstimatorSettings;
use crate::kubernetes::{KubernetesSettings, ReportSettings};
use crate::record::RecordSettings;
use crate::remote::RemoteSettings;
use gleaner_model::{CgroupPath, QosConfig, Span, Topology};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A configuration above this size is no configuration.
const LARGEST: u64 = 1 << 20;

/// The exit status for a wrong configuration (`EX_USAGE` of `sysexits.h`).
pub(crate) const EX_USAGE: u8 = 64;

/// Everything that can be configured. Each field is one key of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The agent's own files: journal, promises, container logs.
    pub(crate) state_dir: PathBuf,
    /// The local endpoint.
    pub(crate) socket: PathBuf,
    /// The local endpoint on TCP too; loopback only.
    pub(crate) listen: Option<SocketAddr>,
    /// Cgroup below which `kubepods` lies.
    pub(crate) cgroup_root: CgroupPath,
    /// Time between two samples.
    pub(crate) sampling_period: Span,
    /// Compute and report only.
    pub(crate) shadow: bool,
    /// How pods are classified.
    pub(crate) qos: QosConfig,
    /// How much can be lent.
    pub(crate) estimator: gleaner_estimator::Policy,
    /// Who gets which CPUs.
    pub(crate) placement: gleaner_qrm_plugins::PlacePolicy,
    /// Which NUMA nodes bound pods go to, where no kubelet chooses.
    pub(crate) topology: gleaner_qrm_plugins::TopologyChoice,
    /// How memory is accounted for.
    pub(crate) memory: gleaner_qrm_plugins::MemoryPolicy,
    /// What the knobs hold.
    pub(crate) knobs: gleaner_qrm_plugins::KnobPolicy,
    /// How gently memory is taken back from reclaimed pods.
    pub(crate) take_back: gleaner_qrm_plugins::TakeBackPolicy,
    /// Who must go.
    pub(crate) eviction: gleaner_eviction::Policy,
    /// Pods from a folder.
    pub(crate) standalone: Standalone,
    /// Pods from an enhanced kubelet.
    pub(crate) qrm: Qrm,
    /// Resources whose plugins are other processes.
    pub(crate) plugins: RemoteSettings,
    /// Estimators in other processes, by name.
    pub(crate) estimators: BTreeMap<String, EstimatorSettings>,
    /// How the cluster is reached.
    pub(crate) kubernetes: KubernetesSettings,
    /// What is told to the cluster.
    pub(crate) report: ReportSettings,
    /// The container runtime's socket for plugins.
    pub(crate) nri: NriSettings,
    /// Whether ticks are recorded.
    pub(crate) record: RecordSettings,
    /// Where pods come from, and who writes their cpusets.
    pub(crate) mode: Mode,
}

/// Where pods come from, and who writes their cpusets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    /// The API server's pods; the container runtime asks before it creates a container, and containers that run are written directly.
    #[default]
    Nri,
    /// The API server's pods; all containers are written directly, soon after they were created.
    Reconcile,
    /// An enhanced kubelet's calls; it writes cpusets from the answers.
    Qrm,
    /// A folder of manifests, run by the embedded runtime.
    Standalone,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Nri => "nri",
            Self::Reconcile => "reconcile",
            Self::Qrm => "qrm",
            Self::Standalone => "standalone",
        })
    }
}

/// The container runtime's socket for plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct NriSettings {
    /// The socket.
    pub(crate) socket: PathBuf,
    /// The agent's place in the order of the runtime's plugins, two digits.
    pub(crate) index: String,
}

impl Default for NriSettings {
    fn default() -> Self {
        Self { socket: PathBuf::from("/var/run/nri/nri.sock"), index: "10".to_owned() }
    }
}

/// The servers for an enhanced kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Qrm {
    /// The folder that the kubelet watches for plugins.
    pub(crate) socket_dir: PathBuf,
    /// The folder of the PodResources socket; an empty path: it is not served.
    pub(crate) pod_resources_dir: PathBuf,
    /// A pod that has no cgroup for this long is gone, even if the kubelet did not say so.
    pub(crate) residual_after: Span,
}

impl Default for Qrm {
    fn default() -> Self {
        Self {
            socket_dir: PathBuf::from("/var/lib/kubelet/plugins_registry"),
            pod_resources_dir: PathBuf::from("/var/lib/katalyst/pod-resources"),
            residual_after: Span::new(Duration::from_secs(300)),
        }
    }
}

/// The embedded runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Standalone {
    /// The folder of manifests.
    pub(crate) manifests: PathBuf,
    /// How long an evicted pod stays away before it is admitted again, if there is room.
    pub(crate) evicted_back_off: Span,
    /// Leave pods and knobs alone on a clean stop.
    pub(crate) keep_pods: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/gleaner"),
            socket: PathBuf::from("/run/gleaner/gleaner.sock"),
            listen: None,
            cgroup_root: CgroupPath::root(),
            sampling_period: Span::new(Duration::from_secs(1)),
            shadow: false,
            qos: QosConfig::default(),
            estimator: gleaner_estimator::Policy::default(),
            placement: gleaner_qrm_plugins::PlacePolicy::default(),
            topology: gleaner_qrm_plugins::TopologyChoice::default(),
            memory: gleaner_qrm_plugins::MemoryPolicy::default(),
            knobs: gleaner_qrm_plugins::KnobPolicy::default(),
            take_back: gleaner_qrm_plugins::TakeBackPolicy::default(),
            eviction: gleaner_eviction::Policy::default(),
            standalone: Standalone::default(),
            qrm: Qrm::default(),
            plugins: RemoteSettings::default(),
            estimators: BTreeMap::new(),
            kubernetes: KubernetesSettings::default(),
            report: ReportSettings::default(),
            nri: NriSettings::default(),
            record: RecordSettings::default(),
            mode: Mode::default(),
        }
    }
}

impl Default for Standalone {
    fn default() -> Self {
        Self { manifests: PathBuf::from("/etc/gleaner/manifests"), evicted_back_off: Span::new(Duration::from_secs(60)), keep_pods: false }
    }
}

impl Config {
    /// Reads the file that the flags name, and lays the flags over it.
    ///
    /// # Errors
    /// Every problem of file and flags, a line each; never empty.
    pub(crate) fn load(args: &ConfigArgs) -> Result<Self, Vec<String>> {
        let (config, problems) = Self::load_what_is_right(args);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// As [`Config::load`]: what is right in file and flags, and every problem of the rest.
    pub(crate) fn load_what_is_right(args: &ConfigArgs) -> (Self, Vec<String>) {
        let (mut config, mut problems) = match &args.config {
            Some(file) => match read(file) {
                Ok((config, mut found)) => {
                    config.check(&mut found);
                    (config, found.into_iter().map(|p| format!("{}: {p}", file.display())).collect())
                }
                Err(found) => (Self::default(), found),
            },
            None => (Self::default(), Vec::new()),
        };
        if let Some(dir) = &args.state_dir {
            config.state_dir.clone_from(dir);
        }
        if let Some(socket) = &args.socket {
            config.socket.clone_from(socket);
        }
        match args.cgroup_root.as_deref().map(str::parse::<CgroupPath>) {
            Some(Ok(root)) => config.cgroup_root = root,
            Some(Err(error)) => problems.push(format!("--cgroup-root: {error}")),
            None => {}
        }
        (config, problems)
    }

    /// As [`Config::load`], with the flags of the agent itself.
    ///
    /// # Errors
    /// Every problem of file and flags, a line each; never empty.
    pub(crate) fn load_for_agent(args: &AgentArgs) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut config = Self::load(&args.config).unwrap_or_else(|found| {
            problems = found;
            Self::default()
        });
        config.shadow |= args.shadow;
        config.standalone.keep_pods |= args.keep_pods;
        if let Some(dir) = &args.manifests {
            config.standalone.manifests.clone_from(dir);
        }
        if let Some(file) = &args.record {
            if file.file_name().is_none() {
                problems.push(format!("--record: {} names no file", file.display()));
            }
            config.record.file = Some(file.clone());
        }
        config.mode = match (args.standalone, args.qrm, args.nri, args.reconcile) {
            (true, ..) => Mode::Standalone,
            (_, true, ..) => Mode::Qrm,
            (_, _, true, _) => Mode::Nri,
            (_, _, _, true) => Mode::Reconcile,
            _ => config.mode,
        };
        if config.mode != Mode::Standalone && (args.manifests.is_some() || args.keep_pods) {
            problems.push("--manifests and --keep-pods are for --standalone".to_owned());
        }
        if let Some(address) = args.listen {
            config.listen = Some(address);
            check_listen(address, "--listen", &mut problems);
        }
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// What only the machine can tell to be wrong.
    ///
    /// # Errors
    /// Every problem, a line each; never empty.
    pub(crate) fn check_against(&self, topology: &Topology) -> Result<(), Vec<String>> {
        let placement = self.placement.validate(topology).into_iter().map(|p| format!("placement.{p}"));
        let memory = self.memory.validate(topology).into_iter().map(|p| format!("memory.{p}"));
        let problems: Vec<String> = placement.chain(memory).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Lays values for single keys over the sections that may change while the agent runs; other sections are a problem.
    /// Returns the keys that were laid, as `section.key`. The result still has to be checked.
    pub(crate) fn lay(&mut self, sections: Map<String, Value>, problems: &mut Vec<String>) -> Vec<String> {
        sections::lay(self, sections, problems)
    }

    /// What is wrong with the values, each problem beginning with its key.
    pub(crate) fn check(&self, problems: &mut Vec<String>) {
        if let Some(address) = self.listen {
            check_listen(address, "listen", problems);
        }
        let period = self.sampling_period.get();
        if period < Duration::from_millis(100) || period > Duration::from_secs(60) {
            problems.push(format!("samplingPeriod: {} is not between 100ms and 60s", self.sampling_period));
        }
        let paths = [
            ("stateDir", &self.state_dir),
            ("nri.socket", &self.nri.socket),
            ("socket", &self.socket),
            ("standalone.manifests", &self.standalone.manifests),
            ("qrm.socketDir", &self.qrm.socket_dir),
        ];
        for (key, path) in paths {
            if path.as_os_str().is_empty() {
                problems.push(format!("{key}: is empty"));
            }
        }
        for (key, path) in [("qrm.socketDir", &self.qrm.socket_dir), ("qrm.podResourcesDir", &self.qrm.pod_resources_dir)] {
            if !path.as_os_str().is_empty() && !path.is_absolute() {
                problems.push(format!("{key}: {} is not an absolute path", path.display()));
            }
        }
        if self.qrm.residual_after.get() < Duration::from_secs(1) {
            problems.push(format!("qrm.residualAfter: {} is less than 1s; a pod needs time to get its cgroup", self.qrm.residual_after));
        }
        if self.nri.index.len() != 2 || !self.nri.index.bytes().all(|b| b.is_ascii_digit()) {
            problems.push(format!("nri.index: {:?} is not two digits", self.nri.index));
        }
        let estimators = self.estimators.iter().flat_map(|(name, settings)| settings.validate(name));
        problems.extend(estimators.map(|p| format!("estimators.{p}")));
        problems.extend(self.report.validate().into_iter().map(|p| format!("report.{p}")));
        problems.extend(self.kubernetes.validate().into_iter().map(|p| format!("kubernetes.{p}")));
        problems.extend(self.record.validate().into_iter().map(|p| format!("record.{p}")));
        problems.extend(self.plugins.validate().into_iter().map(|p| format!("plugins.{p}")));
        problems.extend(self.knobs.validate().into_iter().map(|p| format!("knobs.{p}")));
        problems.extend(self.take_back.validate().into_iter().map(|p| format!("takeBack.{p}")));
        for (section, found) in [("estimator", self.estimator.validate()), ("eviction", self.eviction.validate())] {
            problems.extend(found.err().unwrap_or_default().into_iter().map(|p| format!("{section}.{p}")));
        }
    }

    /// The tree of pods.
    pub(crate) fn kubepods(&self) -> CgroupPath {
        // "kubepods" is a legal name, so joining cannot fail.
        self.cgroup_root.join("kubepods").unwrap_or_else(|_| CgroupPath::root())
    }

    /// First values of every kernel file that was written.
    pub(crate) fn journal(&self) -> PathBuf {
        self.state_dir.join("journal.jsonl")
    }

    /// What was promised to pods.
    pub(crate) fn promises(&self) -> PathBuf {
        self.state_dir.join("assignment.json")
    }

    /// What was promised to containers of an enhanced kubelet.
    pub(crate) fn claims(&self) -> PathBuf {
        self.state_dir.join("qrm")
    }

    /// Pods that the API server told of.
    pub(crate) fn stored_pods(&self) -> PathBuf {
        self.state_dir.join("pods.json")
    }

    /// What regions and workloads did before.
    pub(crate) fn histories(&self) -> PathBuf {
        self.state_dir.join("history.json")
    }

    /// Manifests that were right.
    pub(crate) fn last_good(&self) -> PathBuf {
        self.state_dir.join("manifests.json")
    }

    /// Output of containers.
    pub(crate) fn logs(&self) -> PathBuf {
        self.state_dir.join("logs")
    }
}

fn check_listen(address: SocketAddr, key: &str, problems: &mut Vec<String>) {
    if !address.ip().is_loopback() {
        problems.push(format!("{key}: {address} is not a loopback address; the endpoint has no authentication"));
    }
}

fn read(file: &Path) -> Result<(Config, Vec<String>), Vec<String>> {
    let text = gleaner_host::state::read_text(file, LARGEST).map_err(|error| vec![format!("read {}: {error}", file.display())])?;
    Ok(sections::parse(&text))
}

#[cfg(test)]
mod tests;
