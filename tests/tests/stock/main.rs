//! The real agent on a stock node, seen from outside: an API server behind TLS, a container runtime that asks its plugins, a kubelet's files, and
//! the real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: what goes wrong fails the test"
)]

mod alone;
mod asked;
mod cluster;
mod configuring;
mod connection;
mod evicting;
mod kubelet;
mod reporting;
mod updates;

use gleaner_model::{Bytes, CgroupPath, CpuSet, MilliCpu};
use gleaner_tests::apiserver::{ApiServer, EVENTS_V1, PODS, PodBuilder, Served};
use gleaner_tests::runtime::{Amounts, ContainerSpec, Created, Options, PodSpec, Runtime, Version};
use gleaner_tests::{NODE, Node, pod_state, poll_until, skip, slow};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const CLASS: &str = "katalyst.kubewharf.io/qos_level";
const MILLICPU: &str = "resource.katalyst.kubewharf.io/reclaimed_millicpu";
const MEMORY: &str = "resource.katalyst.kubewharf.io/reclaimed_memory";
const OVERLAP: &str = "placement: {overlapShare: true}\n";

/// How long the runtime's double is waited for.
fn patience() -> Duration {
    Duration::from_secs(60) * slow()
}

/// A node with all that a cluster puts around it.
struct Stock {
    node: Node,
    runtime: Runtime,
    server: ApiServer,
    served: Served,
    _folder: TempDir,
}

/// A pod that runs, with its only container.
struct Running {
    name: String,
    sandbox: String,
    container: Created,
}

impl Running {
    fn cgroup(&self) -> &CgroupPath {
        &self.container.cgroup
    }

    fn pod_cgroup(&self) -> CgroupPath {
        self.container.cgroup.parent().unwrap()
    }

    /// The CPUs in the runtime's specification.
    fn given(&self) -> CpuSet {
        self.container.resources.cpus.parse().unwrap_or_else(|e| panic!("{}: {:?}: {e}", self.name, self.container.resources))
    }
}

impl Stock {
    /// With a runtime of the usual version and a running agent that is its plugin. `None`, and a line that says why, where this machine cannot.
    fn new(test: &str) -> Option<Self> {
        Self::with(test, Version::V0_8, "")
    }

    /// The same, with a version and more lines of configuration.
    fn with(test: &str, version: Version, more: &str) -> Option<Self> {
        let mut stock = Self::prepared(test, version, more)?;
        stock.start();
        Some(stock)
    }

    /// Everything but the agent.
    fn prepared(test: &str, version: Version, more: &str) -> Option<Self> {
        Self::made(test, more, |node| Options::of(version).on(node))
    }

    fn made(test: &str, more: &str, options: impl FnOnce(&Node) -> Options) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::plugin_of(test, &folder.path().join("nri.sock"))?;
        node.configure_more(more);
        node.make_cgroup(&node.kubepods());
        fs::create_dir(node.path("kubelet")).unwrap();
        let server = ApiServer::new();
        server.add_node(NODE, &[("pool", "batch")]);
        server.configz(NODE, json!({"kubeletconfig": {"cpuManagerPolicy": "none"}}));
        let served = server.serve();
        served.kubeconfig(&node.path("kubeconfig"));
        let runtime = Runtime::start(folder.path(), options(&node));
        Some(Self { node, runtime, server, served, _folder: folder })
    }

    /// Keeps so many CPUs back from lending, from the next start or SIGHUP on.
    fn keep_back(&self, cpus: u32) {
        let file = self.node.path("gleaner.yaml");
        let text = fs::read_to_string(&file).unwrap();
        self.node.configure(&text.replace("cpuReserve: 0", &format!("cpuReserve: {cpus}")));
    }

    /// Starts the agent, and waits until it is connected and knows its pods.
    fn start(&mut self) {
        self.node.start();
        self.connected();
        self.node.until("the agent has placed what there is", |state| state["estimate"].is_object().then_some(()));
    }

    /// Waits until the agent is a plugin of the runtime, on both sides.
    fn connected(&mut self) {
        self.runtime.wait_for_plugin(patience());
        self.node.until("the runtime is connected", |state| {
            (state["runtime"].is_string() && state["health"]["nri"]["problem"].is_null()).then_some(())
        });
    }

    /// Waits until an agent that answers knows a pod by the API server's word.
    fn knows(&mut self, pod: &str) {
        self.node.until(&format!("{pod} is known"), |state| pod_state(state, pod).map(|_| ()));
    }

    /// A pod of a class for the API server. Reclaimed ones are promised the amount, others request it.
    fn api_pod(&self, name: &str, class: &str, milli: u32) -> PodBuilder {
        let pod = PodBuilder::new(name).uid(&format!("uid-{name}")).node(NODE).class(class);
        let amount = milli.to_string();
        if class == "reclaimed_cores" {
            pod.container("main", &[(MILLICPU, &amount), (MEMORY, "16Mi")])
        } else {
            pod.container_with("main", &[("cpu", &format!("{milli}m"))], &[])
        }
    }

    /// The same pod for the runtime.
    fn cri_pod(&self, name: &str, class: &str) -> PodSpec {
        let spec = PodSpec::new(name, &format!("uid-{name}")).annotation(CLASS, class);
        let kube = if class == "reclaimed_cores" { "besteffort" } else { "burstable" };
        spec.below(&format!("{}/{kube}/poduid-{name}", self.node.kubepods()))
    }

    /// Runs a pod as kubelet does, when the API server knows it.
    fn run(&mut self, name: &str, class: &str, milli: u32) -> Running {
        self.server.add_pod(self.api_pod(name, class, milli));
        if self.node.state().is_some() {
            self.knows(name);
        }
        self.run_unknown(name, class, milli).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Runs a pod of which only the runtime tells.
    fn run_unknown(&self, name: &str, class: &str, milli: u32) -> Result<Running, String> {
        let sandbox = self.runtime.run_pod(&self.cri_pod(name, class))?;
        let container = self.create(&sandbox, class, milli)?;
        self.runtime.start_container(&container.id)?;
        Ok(Running { name: name.to_owned(), sandbox, container })
    }

    fn create(&self, sandbox: &str, class: &str, milli: u32) -> Result<Created, String> {
        let request = if class == "reclaimed_cores" { 0 } else { u64::from(milli) };
        self.runtime.create_container(sandbox, &ContainerSpec::new("main", Amounts::cpu(request, 0)))
    }

    /// A pod ends as kubelet ends it: containers, sandbox, cgroup, and last the object.
    fn remove(&mut self, running: &Running) {
        self.end(running);
        self.server.delete(PODS, "default", &running.name);
    }

    /// The same without the object.
    fn end(&mut self, running: &Running) {
        self.runtime.remove_pod(&running.sandbox).unwrap();
        remove_cgroup(&self.node, &running.pod_cgroup());
    }

    fn cpus(&self, running: &Running) -> CpuSet {
        self.node.kernel().cpus(running.cgroup())
    }

    /// Waits until the kernel lets a container run on these CPUs and no others.
    fn comes_to(&self, running: &Running, cpus: &CpuSet) {
        comes_to(&self.node, running.cgroup(), cpus);
    }

    /// Waits for an Event about an object.
    fn event(&self, name: &str, reason: &str) -> Value {
        let found = |event: &Value| event["regarding"]["name"] == name && event["reason"] == reason;
        self.server.until(&format!("an Event {reason} about {name}"), |server| server.all(EVENTS_V1).into_iter().find(found))
    }

    /// What is wrong with a part, once something is.
    fn problem(&mut self, part: &str, words: &str) -> String {
        problem(&mut self.node, part, words)
    }

    /// Nothing is wrong with a part any more.
    fn works(&mut self, part: &str) {
        self.node.until(&format!("{part} works"), |state| state["health"][part]["problem"].is_null().then_some(()));
    }

    /// Neither the runtime nor the API server was asked what must not be asked.
    fn assert_clean(&self) {
        self.runtime.assert_clean();
        self.server.assert_clean();
        assert!(self.runtime.connections() <= 1, "{} connections", self.runtime.connections());
    }
}

fn problem(node: &mut Node, part: &str, words: &str) -> String {
    node.until(&format!("{part} says {words:?}"), |state| {
        let problem = state["health"][part]["problem"].as_str()?;
        problem.contains(words).then(|| problem.to_owned())
    })
}

fn comes_to(node: &Node, cgroup: &CgroupPath, cpus: &CpuSet) {
    let kernel = node.kernel();
    poll_until(&format!("{cgroup} is on {cpus}"), || (kernel.cpus(cgroup) == *cpus).then_some(()));
}

/// Removes a pod's cgroup, as kubelet does.
fn remove_cgroup(node: &Node, cgroup: &CgroupPath) {
    for mount in node.layout().hierarchies() {
        let dir = mount.join(cgroup.relative());
        fs::remove_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    }
}

/// The CPUs of a pool, as the agent tells.
fn pool(state: &Value, name: &str) -> Option<CpuSet> {
    state["pools"][name]["cpus"].as_str()?.parse().ok()
}

/// What the agent would lend: CPU in thousandths, memory in bytes.
fn lent(state: &Value) -> Option<(u64, u64)> {
    let estimate = &state["estimate"];
    let cpu: MilliCpu = serde_json::from_value(estimate["cpu"].clone()).ok()?;
    let memory: Bytes = serde_json::from_value(estimate["memory"].clone()).ok()?;
    Some((cpu.get(), memory.get()))
}

/// CPUs of this machine.
fn online() -> CpuSet {
    fs::read_to_string("/sys/devices/system/cpu/online").unwrap().trim().parse().unwrap()
}

/// Whether the machine has so many CPUs; else a line says that the test is skipped.
fn has_cpus(test: &str, count: u32) -> bool {
    let enough = online().count() >= count;
    if !enough {
        skip(test, &format!("needs {count} CPUs"));
    }
    enough
}
