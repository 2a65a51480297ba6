//! One agent on a node of its own.

use crate::kernel::{Kernel, PodFiles, command_name};
use crate::pod::Pod;
use crate::source::Source;
use crate::tree::Tree;
use crate::wait::{Deadline, poll_until};
use crate::{http, skip};
use gleaner_model::CgroupPath;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The configuration of tests: quick to react, nothing kept back, and a little is offered too, so that a small machine has something to lend.
const CONFIG: &str = "samplingPeriod: 500ms\nestimator: {risePerSecond: 100%, cpuReserve: 0, memoryReserve: 64Mi, \
                      composite: {windows: [], warmUp: 0s}, headroom: {fragments: {cpu: 0, memory: 0}}}\n";

/// A folder and a cgroup of their own, and the agent that works there. Dropping it ends and removes everything.
#[derive(Debug)]
pub struct Node {
    tree: Tree,
    dir: TempDir,
    agent: Option<Child>,
    source: Source,
}

/// How an agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; `None` when a signal killed it.
    pub code: Option<i32>,
    /// What it printed, over all starts.
    pub stdout: String,
    /// What it logged, over all starts.
    pub log: String,
}

impl Node {
    /// A node for a test; `None`, and a line that says why, where this machine cannot have one.
    #[must_use]
    pub fn new(test: &str) -> Option<Self> {
        let tree = Tree::make().map_err(|reason| skip(test, &reason)).ok()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let node = Self { tree, dir, agent: None, source: Source::Manifests };
        fs::create_dir(node.path("manifests")).expect("a folder for manifests");
        node.configure(&format!("{CONFIG}placement: {{overlapShare: true}}\n"));
        Some(node)
    }

    /// A node whose pods come from a kubelet; its agent serves plugins in the folder `plugins`.
    #[must_use]
    pub fn behind_kubelet(test: &str) -> Option<Self> {
        Self::with(test, Source::Kubelet)
    }

    /// A stock node whose agent is a plugin of the runtime at this socket.
    #[must_use]
    pub fn plugin_of(test: &str, socket: &Path) -> Option<Self> {
        Self::with(test, Source::Runtime(socket.to_owned()))
    }

    /// A stock node whose agent writes cgroups alone.
    #[must_use]
    pub fn reconciling(test: &str) -> Option<Self> {
        Self::with(test, Source::Cluster)
    }

    fn with(test: &str, source: Source) -> Option<Self> {
        let mut node = Self::new(test)?;
        node.source = source;
        node.configure_more("");
        Some(node)
    }

    /// The configuration of tests with more keys.
    pub fn configure_more(&self, more: &str) {
        self.configure_from_source(&format!("{CONFIG}{more}"));
    }

    /// The configuration with nothing but these keys, and where pods come from.
    pub fn configure_from_source(&self, yaml: &str) {
        self.configure(&format!("{}{yaml}", self.source.configuration(self.dir.path())));
    }

    /// Makes a cgroup below the node's, and all on the way to it.
    pub fn make_cgroup(&self, cgroup: &CgroupPath) {
        self.tree.make_below(cgroup).unwrap_or_else(|e| panic!("make {cgroup}: {e}"));
    }

    /// Makes the cgroup of a container as a kubelet with the cgroupfs driver does.
    #[must_use]
    pub fn make_container(&self, pod: &str, container: &str) -> CgroupPath {
        let pod = self.kubepods().join("burstable").and_then(|class| class.join(&format!("pod{pod}"))).expect("a legal uid");
        let cgroup = pod.join(container).expect("a legal id");
        self.make_cgroup(&cgroup);
        cgroup
    }

    /// Removes a pod's cgroups, as a kubelet does when its processes have ended. That of its container may be gone already.
    pub fn remove_pod_cgroups(&self, container: &CgroupPath) {
        let pod = container.parent().expect("a pod around it");
        for dir in [container, &pod].into_iter().flat_map(|cgroup| self.tree.dirs(cgroup)).filter(|dir| dir.exists()) {
            fs::remove_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        }
    }

    /// Writes a file of a cgroup, as a container runtime does.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn write(&self, controller: gleaner_host::cgroup::Controller, cgroup: &CgroupPath, file: &str, text: &str) -> Result<(), String> {
        let dir = self.tree.layout.dir(controller, cgroup).ok_or_else(|| format!("no controller {controller}"))?;
        crate::tree::put(&dir.join(file), text).map_err(|e| e.to_string())
    }

    /// The whole configuration file.
    pub fn configure(&self, yaml: &str) {
        replace(&self.path("gleaner.yaml"), yaml);
    }

    /// A path in the node's folder: `manifests`, `state`, `run/socket`, `gleaner.yaml`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The cgroup that stands for the root of the node.
    #[must_use]
    pub fn root(&self) -> &CgroupPath {
        &self.tree.root
    }

    /// The cgroup of all pods.
    #[must_use]
    pub fn kubepods(&self) -> CgroupPath {
        self.tree.root.join("kubepods").unwrap()
    }

    /// The kernel's word.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.tree.kernel()
    }

    /// The layout of the machine.
    #[must_use]
    pub fn layout(&self) -> &gleaner_host::cgroup::Layout {
        &self.tree.layout
    }

    /// Puts a manifest into the folder, whole at once.
    pub fn manifest(&self, file: &str, text: &str) {
        replace(&self.path("manifests").join(file), text);
    }

    /// Puts a pod's manifest into the folder, in a file of its name.
    pub fn add(&self, pod: &Pod) {
        let name = pod.full_name();
        let (_, name) = name.split_once('/').unwrap();
        self.manifest(&format!("{name}.yaml"), &pod.manifest());
    }

    /// Takes the manifest of the pod of this name away.
    pub fn remove(&self, pod: &str) {
        fs::remove_file(self.path("manifests").join(format!("{pod}.yaml"))).expect("a manifest to remove");
    }

    fn agent_command(&self, flags: &[&str]) -> Command {
        let mut command = self.command("agent");
        command.args(self.source.flags(self.dir.path()));
        command.args(flags);
        command
    }

    /// A command of the binary for this node.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program("gleaner"));
        command.arg(name).args(["--config".into(), self.path("gleaner.yaml")]).args(["--state-dir".into(), self.path("state")]);
        command.args(["--socket".into(), self.path("run/socket")]).args(["--cgroup-root", self.root().as_str()]);
        let programs = program("workload");
        let path = format!("{}:/usr/bin:/bin", programs.parent().unwrap().display());
        command.env("PATH", path).env("NO_COLOR", "1").env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Runs a command of the binary to its end.
    #[must_use]
    pub fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name).args(arguments).output().expect("the binary runs")
    }

    /// Starts the agent and waits until it answers.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the agent with more flags and waits until it answers with figures of its own.
    pub fn start_with(&mut self, flags: &[&str]) {
        self.spawn(flags);
        self.until("the agent answers", |state| (state["ticks"].as_u64()? >= 1).then_some(()));
    }

    /// Starts the agent without waiting.
    pub fn spawn(&mut self, flags: &[&str]) {
        assert!(self.agent.is_none(), "an agent runs already");
        let append = |name: &str| OpenOptions::new().create(true).append(true).open(self.path(name)).expect("a file for output");
        let child = self.agent_command(flags).stdout(append("stdout")).stderr(append("log")).spawn().expect("the agent starts");
        self.agent = Some(child);
    }

    /// An agent on this node beside the running one, to its end; it is expected to refuse.
    #[must_use]
    pub fn second_agent(&self, flags: &[&str]) -> Output {
        let mut child = self.agent_command(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a second agent starts");
        let deadline = Deadline::usual();
        while child.try_wait().unwrap().is_none() {
            if !deadline.again() {
                // An agent that did not refuse must not stay behind.
                let _ = child.kill();
            }
        }
        child.wait_with_output().unwrap()
    }

    /// The agent's process id.
    #[must_use]
    pub fn agent_pid(&self) -> i32 {
        i32::try_from(self.agent.as_ref().expect("an agent runs").id()).unwrap()
    }

    /// Sends the agent a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.agent_pid()), signal).expect("the agent can be signalled");
    }

    /// Kills the agent, and leaves its pods.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.agent.take() {
            // Ended by itself is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends the agent a signal that ends it, and waits for that.
    pub fn stop(&mut self, signal: Signal) -> Ended {
        self.signal(signal);
        let mut child = self.agent.take().unwrap();
        let deadline = Deadline::usual();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if !deadline.again() {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the agent did not end after {signal}\n{}", self.log_tail());
            }
        };
        Ended { code: status.code(), stdout: self.output("stdout"), log: self.log() }
    }

    fn output(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What the agent logged, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        self.output("log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("the end of its log:\n{}", lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    /// What a container wrote.
    #[must_use]
    pub fn container_log(&self, pod: &str) -> String {
        self.output(&format!("state/logs/default_{pod}_{pod}.log"))
    }

    /// The agent's state, if it answers.
    #[must_use]
    pub fn state(&self) -> Option<Value> {
        let answer = http::get(&self.path("run/socket"), "/state").ok()?;
        serde_json::from_str(&answer.body).ok()
    }

    /// Looks at the agent's state until there is an answer.
    ///
    /// # Panics
    /// When there is none in the usual time, or the agent has ended.
    pub fn until<T>(&mut self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = Deadline::usual();
        loop {
            let state = self.state();
            if let Some(found) = state.as_ref().and_then(&look) {
                return found;
            }
            let ended = self.agent.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the agent ended ({ended:?}) before: {what}\n{}", self.log_tail());
            let short = || state.as_ref().map_or_else(|| "no state".to_owned(), summary);
            assert!(deadline.again(), "still not so: {what}\nits state: {}\n{}", short(), self.log_tail());
        }
    }

    /// Waits until a pod is in a phase. Returns its state.
    pub fn phase(&mut self, pod: &str, phase: &str) -> Value {
        self.until(&format!("pod {pod} is {phase}"), |state| pod_state(state, pod).filter(|p| p["phase"] == phase).cloned())
    }

    /// Waits until every container of the pods runs its own program. Returns where each lives.
    pub fn running(&mut self, pods: &[&str]) -> Vec<PodFiles> {
        for pod in pods {
            self.phase(pod, "running");
        }
        let (kernel, root) = (self.kernel(), self.root().clone());
        let runs = |files: &PodFiles| {
            let own = |pid: &i32| command_name(*pid).is_some_and(|name| name != "gleaner");
            let each = |cgroup| Some(kernel.pids(cgroup)).is_some_and(|pids| !pids.is_empty() && pids.iter().all(own));
            !files.containers.is_empty() && files.containers.values().all(each)
        };
        let find = |state: &Value, pod: &str| kernel.find_pod(&root, pod_state(state, pod)?["uid"].as_str()?).filter(runs);
        self.until(&format!("processes of {pods:?} run"), |state| pods.iter().map(|pod| find(state, pod)).collect())
    }

    /// Waits until the agent has looked at the node this often from now on.
    pub fn ticks(&mut self, more: u64) {
        let from = self.until("the agent counts", |state| state["ticks"].as_u64());
        self.until("the agent ticks", |state| (state["ticks"].as_u64()? >= from + more).then_some(()));
    }

    /// Waits until no hierarchy has a cgroup.
    pub fn gone(&self, cgroup: &CgroupPath) {
        poll_until(&format!("cgroup {cgroup} is gone"), || (!self.kernel().exists(cgroup)).then_some(()));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
        self.kill();
        let left = self.tree.remove();
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind: {}", left.join(", "));
        }
    }
}

/// A pod of this name (`NAME` in the namespace `default`), the newest where an older one is on its way out.
#[must_use]
pub fn pod_state<'a>(state: &'a Value, name: &str) -> Option<&'a Value> {
    let full = format!("default/{name}");
    let of_name = || state["pods"].as_array().into_iter().flatten().filter(|pod| pod["name"] == full);
    of_name().find(|pod| pod["phase"] != "ending").or_else(|| of_name().next())
}

/// The pods with their phases, for a message.
fn summary(state: &Value) -> String {
    let pods = state["pods"].as_array().into_iter().flatten();
    let lines: Vec<String> = pods.map(|p| format!("{} {} {} cpus {}", p["name"], p["phase"], p["why"], p["cpus"])).collect();
    format!("tick {}\n{}\nrefused: {}\nhealth: {}", state["ticks"], lines.join("\n"), state["refused"], state["health"])
}

/// A program of this workspace: where `GLEANER_BIN`, `GLEANER_WORKLOAD` and the like say, else where cargo put it.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let variable = if name == "gleaner" { "GLEANER_BIN".to_owned() } else { format!("GLEANER_{}", name.to_uppercase().replace('-', "_")) };
    let path = std::env::var_os(&variable).map_or_else(
        || {
            let own = std::env::current_exe().expect("the path of this test");
            // target/debug/deps/TEST
            own.parent().and_then(Path::parent).expect("the folder of the build").join(name)
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "{} is not there: cargo build --workspace, or set {variable}", path.display());
    path
}

/// Puts a file into its place whole, as a careful person would.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    File::create(&new).and_then(|mut open| open.write_all(text.as_bytes())).expect("a file can be written");
    fs::rename(&new, file).expect("a file can be renamed");
}
