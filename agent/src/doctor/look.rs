//! Gathers the facts.

use super::cluster::{self, cluster};
use super::facts::{AgentSays, Cluster, Facts, Kernel, KubeletFiles, NoAgent, Process, Shape, Windows};
use super::nri_socket::nri_socket;
use crate::config::{Config, Mode};
use crate::engine::pod_root;
use crate::error::AgentError;
use crate::http::fetch_state;
use crate::kubelet::{self, CgroupDriver, KubeletEvent, KubeletPart};
use gleaner_host::cgroup::{Controller, Layout};
use gleaner_host::node::Inventory;
use gleaner_host::offers::Offers;
use gleaner_host::psi::{Trigger, Watcher};
use gleaner_host::topology;
use gleaner_model::{Bytes, CgroupPath, NumaSet};
use nix::unistd::{AccessFlags, access, geteuid};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Builder;

/// An agent on this machine answers in milliseconds.
const AGENT: Duration = Duration::from_secs(2);
/// What finding the cluster may take beside the questions: a kubeconfig may name a program to run, and a name may have to be looked up.
const FINDING: Duration = Duration::from_secs(2);

/// Looks at everything. Takes a few seconds at most, and changes nothing.
pub(crate) fn look(mut config: Config, file: Option<PathBuf>, problems: Vec<String>) -> Facts {
    let socket = config.socket.clone();
    let agent = in_time(AGENT + FINDING, move || async move { agent(&socket).await });
    let agent = agent.unwrap_or_else(|cause| Err(NoAgent::NotTold(cause)));
    if let Ok(running) = &agent {
        config.mode = running.mode;
    }
    let inventory = Inventory::read();
    let hostname = inventory.as_ref().map_or_else(|_| String::new(), |inventory| inventory.hostname.clone());
    let cluster = ask_cluster(&config, &hostname);
    let layout = Layout::detect();
    let kernel = kernel(&config, layout.as_ref(), inventory.map(|found| found.kernel).map_err(|error| error.to_string()));
    let first_is_machines = kernel.offers.as_ref().is_ok_and(|offers| offers.sees_all_processes);
    Facts {
        node: match &cluster {
            Cluster::Answers(answers) => answers.node.clone(),
            _ => hostname,
        },
        file,
        problems,
        agent,
        process: Process { user: geteuid().as_raw(), writes: writes(&config, layout.as_ref().ok(), &kernel) },
        nri: nri_socket(&config.nri.socket, first_is_machines),
        kubelet: kubelet_files(&config.kubernetes.kubelet_dir),
        cluster,
        kernel,
        config,
    }
}

/// What a task comes to, if it does in this time. On a thread of its own, which is left behind when it hangs in something that knows no time limit.
fn in_time<T, F>(limit: Duration, task: impl FnOnce() -> F + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (tell, told) = mpsc::channel();
    let work = move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
        let _ = tell.send(runtime.block_on(task()));
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("doctor".to_owned()).spawn(work).map_err(|error| error.to_string())?;
    told.recv_timeout(limit).map_err(|_| format!("no answer within {} s", limit.as_secs()))
}

async fn agent(socket: &Path) -> Result<AgentSays, NoAgent> {
    let asked = tokio::time::timeout(AGENT, fetch_state(socket)).await;
    let state = match asked {
        Ok(Ok(state)) => state,
        Ok(Err(AgentError::NoAgent { cause, .. })) => {
            // Nobody is there, or somebody is and does not speak.
            let gone = fs::symlink_metadata(socket).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
            let refused = cause.contains("refused");
            return Err(if gone || refused { NoAgent::NotThere(cause) } else { NoAgent::NotTold(cause) });
        }
        Ok(Err(error)) => return Err(NoAgent::NotTold(error.to_string())),
        Err(_) => return Err(NoAgent::NotTold(format!("no answer within {} s", AGENT.as_secs()))),
    };
    let problems = state.health.into_iter().filter_map(|(part, health)| Some((part, health.problem?))).collect();
    Ok(AgentSays { mode: state.mode, shadow: state.shadow, runtime: state.runtime, problems })
}

fn ask_cluster(config: &Config, hostname: &str) -> Cluster {
    if config.mode == Mode::Standalone {
        return Cluster::NotAsked;
    }
    let (settings, hostname) = (config.kubernetes.clone(), hostname.to_owned());
    let found = in_time(cluster::LIMIT + FINDING, move || async move { cluster(&settings, &hostname).await });
    found.unwrap_or_else(Cluster::Silent)
}

fn kernel(config: &Config, layout: Result<&Layout, &gleaner_host::HostError>, release: Result<String, String>) -> Kernel {
    let tree = layout.map_or_else(|_| config.kubepods(), |layout| pod_root(layout, config));
    let is_there = layout.is_ok_and(|layout| layout.hierarchies().iter().any(|mount| mount.join(tree.relative()).is_dir()));
    let driver = if tree.as_str().ends_with(".slice") { CgroupDriver::Systemd } else { CgroupDriver::Cgroupfs };
    Kernel {
        release,
        cgroups: layout.map(Layout::mode).map_err(ToString::to_string),
        offers: layout.map_err(ToString::to_string).and_then(|layout| Offers::read(layout, &tree).map_err(|error| error.to_string())),
        windows: windows(),
        shape: shape(),
        swap: swap(),
        tree: (tree, is_there.then_some(driver)),
    }
}

/// Tries both kinds of window, since capabilities, the kernel and security modules all have a say. The triggers end at once.
fn windows() -> Windows {
    let refused = |stall: u64, window: u64| {
        let trigger = Trigger {
            name: "node".to_owned(),
            file: PathBuf::from("/proc/pressure/memory"),
            full: false,
            stall: Duration::from_millis(stall),
            window: Duration::from_millis(window),
        };
        match Watcher::start(vec![trigger], |_| {}) {
            Ok((_, failed)) => failed.into_iter().next().map(|(_, error)| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    };
    match (refused(50, 500), refused(200, 2000)) {
        (None, _) => Windows::Short,
        (Some(_), None) => Windows::Slow,
        (_, Some(cause)) => Windows::None(cause),
    }
}

fn shape() -> Result<Shape, String> {
    let (topology, _) = topology::detect().map_err(|error| error.to_string())?;
    Ok(Shape {
        cpus: topology.cpus().count(),
        sockets: topology.packages().len(),
        nodes: topology.nodes().map(|(id, _)| id).collect::<NumaSet>().iter().count(),
        l3_groups: topology.l3_groups().len(),
        threads: topology.threads_per_core(),
    })
}

fn swap() -> Result<Bytes, String> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|error| format!("/proc/meminfo: {error}"))?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("SwapTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|amount| Bytes::new(amount.saturating_mul(1024))).ok_or_else(|| "/proc/meminfo has no SwapTotal".to_owned())
}

/// Whether the files of the tree may be written, or where it is to be made, those around it.
fn writes(config: &Config, layout: Option<&Layout>, kernel: &Kernel) -> Result<(), String> {
    let Some(layout) = layout else { return Err("no cgroup hierarchy is mounted".to_owned()) };
    let (tree, driver) = &kernel.tree;
    let cgroup: &CgroupPath = if driver.is_some() { tree } else { &config.cgroup_root };
    [Controller::Cpu, Controller::Cpuset, Controller::Memory]
        .into_iter()
        .filter_map(|controller| layout.dir(controller, cgroup))
        .try_for_each(|dir| access(&dir, AccessFlags::W_OK).map_err(|error| format!("{}: {}", dir.display(), error.desc())))
}

fn kubelet_files(dir: &Path) -> KubeletFiles {
    let mut files = KubeletFiles { config: Ok(None), exclusive: Ok(None) };
    for (part, found) in kubelet::look_once(dir) {
        match (part, found) {
            (KubeletPart::Config, Ok(Some(KubeletEvent::Config(config)))) => files.config = Ok(Some(*config)),
            (KubeletPart::Config, Err(cause)) => files.config = Err(cause),
            (KubeletPart::CpuManager, Ok(Some(KubeletEvent::Exclusive(exclusive)))) => files.exclusive = Ok(Some(exclusive)),
            (KubeletPart::CpuManager, Err(cause)) => files.exclusive = Err(cause),
            _ => {}
        }
    }
    files
}
