//! The command line.

use clap::{Args, Parser, Subcommand};
use gleaner_model::{MilliCpu, Span, ValueError};
use gleaner_simulator::{Horizon, Split, StepDemand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Lends what latency-critical pods were sold but do not use, and gives it back at once.
#[derive(Debug, Parser)]
#[command(name = "gleaner", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agent on this node.
    Agent(AgentArgs),
    /// Show pods, pools, what can be lent and the last decisions.
    Status(StatusArgs),
    /// Say why a pod has the CPUs and limits that it has.
    Explain(ExplainArgs),
    /// Say what this node has and lacks, and which features are on because of it.
    Doctor(DoctorArgs),
    /// Run the agent's code over recorded ticks: show that it decides the same again, and what other policies would have lent.
    Replay(ReplayArgs),
    /// Put every kernel file back as it was before the agent wrote it; the agent must not be running.
    Restore(RestoreArgs),
    /// Say what the policies would have lent and risked on nodes made from usage traces.
    Simulate(SimulateArgs),
    /// First step of a container's process: joins its cgroup, then becomes the container's command.
    #[command(hide = true)]
    InitContainer(InitArgs),
}

/// Where the configuration comes from; shared by all commands that need it.
#[derive(Debug, Args, Clone)]
pub(crate) struct ConfigArgs {
    /// Configuration file (YAML); without it, the defaults.
    #[arg(long, short = 'c', value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for the agent's state.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The agent's unix socket.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Cgroup below which kubepods lies, as kubelet's --cgroup-root.
    #[arg(long, value_name = "CGROUP")]
    pub(crate) cgroup_root: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Work on a stock Kubernetes node as a plugin of its container runtime; this is what is done unless the configuration says otherwise.
    #[arg(long, conflicts_with_all = ["reconcile", "qrm", "standalone", "manifests", "keep_pods"])]
    pub(crate) nri: bool,
    /// Work on a stock Kubernetes node by writing cgroups alone, where the runtime takes no plugins.
    #[arg(long, conflicts_with_all = ["qrm", "standalone", "manifests", "keep_pods"])]
    pub(crate) reconcile: bool,
    /// Stand in front of an enhanced kubelet: serve CPU and memory as resource plugins.
    #[arg(long, conflicts_with_all = ["standalone", "manifests", "keep_pods"])]
    pub(crate) qrm: bool,
    /// Take pods from a folder of manifests and run their commands here, without Kubernetes.
    #[arg(long)]
    pub(crate) standalone: bool,
    /// Folder of v1 Pod manifests, for --standalone.
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: Option<PathBuf>,
    /// Compute and report, but write nothing to the pods' cgroups and evict nobody.
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Serve the local endpoint on this loopback address too.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// On a clean stop, leave pods running and knobs as they are.
    #[arg(long)]
    pub(crate) keep_pods: bool,
    /// Write every tick into this file, for `gleaner replay`.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Draw the live view in this terminal; logs go to agent.log in the state folder.
    #[arg(long)]
    pub(crate) view: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the agent's state as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw again every second until interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The pod: NAME, or NAMESPACE/NAME.
    pub(crate) pod: String,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the same as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Files that `gleaner agent --record` wrote; several are read in the order in which they were recorded.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Run this policy over the same ticks too, and compare; may be given several times.
    #[arg(long = "policy", value_name = "NAME")]
    pub(crate) policies: Vec<String>,
    /// How far somebody who knows the future looks ahead, with whom all are compared.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) horizon: String,
    /// Print the same as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// First end the pods that a standalone agent left running.
    #[arg(long)]
    pub(crate) stop_pods: bool,
    /// Afterwards wait until told to stop, so that what runs this on every node does not run it again and again.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Configuration file (YAML) with the policies' settings; without it, the defaults.
    #[arg(long, short = 'c', value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder with traces: NAME_avg.csv and NAME_max.csv of virtual machines, NAME_dayN.csv of one node; each may be packed (.gz).
    #[arg(long, value_name = "DIR")]
    pub(crate) traces: PathBuf,
    /// Only this policy; may be given several times. Without it, all.
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Vec<String>,
    /// Try each policy with a list of margins, for its curve of lent against violated.
    #[arg(long)]
    pub(crate) sweep: bool,
    /// CPUs of a node.
    #[arg(long, value_name = "CPUS", default_value_t = 48)]
    pub(crate) cores: u32,
    /// CPU of a node that is never lent; it replaces the configured reserve.
    #[arg(long, value_name = "CPU", default_value = "4")]
    pub(crate) reserve: MilliCpu,
    /// Nodes made of each set of virtual machines.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) nodes: u32,
    /// Days of each node; without it, all that the traces hold.
    #[arg(long, value_name = "N")]
    pub(crate) days: Option<u32>,
    /// Which columns of the traces are used: even, odd or all, so that what was chosen on some can be judged on the others.
    #[arg(long, default_value = "all")]
    pub(crate) split: Split,
    /// A virtual machine ends after so many days on average, and another takes its place; without it, all stay.
    #[arg(long, value_name = "DAYS")]
    pub(crate) lifetime: Option<u32>,
    /// Where all that is drawn by lot comes from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Seconds from a sample to the promise that came of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(crate) delay: u64,
    /// Seconds from one decision to the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub(crate) step: u32,
    /// What counts as demand of a longer step: its highest second (max), or its average.
    #[arg(long, value_name = "WHICH", default_value = "max")]
    pub(crate) step_demand: StepDemand,
    /// How far the clairvoyant sees that lending is compared with: a span of time, or lifetime (to the end of each pod that runs).
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    pub(crate) horizon: Horizon,
    /// How much at the beginning of each node is not scored, as 1d or 6h.
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = days_or_span)]
    pub(crate) warm_up: Span,
    /// Nodes that are simulated at once; as many as there are CPUs unless given. The result does not depend on it.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw the curves and two days of one node of each set as SVG into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) plot: Option<PathBuf>,
}

/// A span of time, or whole days.
fn days_or_span(text: &str) -> Result<Span, ValueError> {
    match text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok()) {
        Some(days) => Ok(Span::from_secs(u64::from(days) * 86_400)),
        None => text.parse(),
    }
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The container's cgroup.
    #[arg(long)]
    pub(crate) cgroup: String,
    /// The agent that starts the container; when it is gone by now, the container is not started.
    #[arg(long)]
    pub(crate) parent: i32,
    /// The container's command.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}
