//! The real agent as a plugin of a real containerd, with real containers. Only inside the virtual machine: the containers' root is that of the
//! machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: what goes wrong fails the test"
)]

mod classes;
mod crash;
mod daemonset;
mod image;

use gleaner_model::{CgroupPath, CpuSet};
use gleaner_tests::containerd::{Containerd, IMAGE};
use gleaner_tests::cri::{Cri, CriContainer, CriPod, LinuxContainerResources, Mount};
use gleaner_tests::{Kernel, Node, poll_until, skip};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One runtime at a time: the machine is emulated.
static ONE: Mutex<()> = Mutex::new(());

/// A runtime, an agent on a node of its own, and a folder into which containers write.
struct Machine {
    cri: Cri,
    node: Node,
    containerd: Containerd,
    _one: MutexGuard<'static, ()>,
}

/// A pod that runs, with its only container.
struct Running {
    pod: CriPod,
    sandbox: String,
    container: String,
    cgroup: CgroupPath,
}

impl Machine {
    /// `None`, and a line that says why, where this machine cannot have one.
    fn new(test: &str) -> Option<Self> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if std::env::var_os("GLEANER_TEST_VM").is_none() {
            skip(test, "needs the virtual machine: containers are made by a real containerd");
            return None;
        }
        let containerd = Containerd::start().map_err(|reason| skip(test, &reason)).ok()?;
        let mut node = Node::plugin_of(test, &containerd.nri_socket())?;
        fs::create_dir(node.path("out")).unwrap();
        node.start();
        let mut machine = Self { cri: containerd.cri(), node, containerd, _one: one };
        machine.wait_for_connection();
        Some(machine)
    }

    /// Waits until the agent is connected to the runtime and has placed what runs.
    fn wait_for_connection(&mut self) {
        self.node.until("the runtime is connected", |state| {
            let nri = &state["health"]["nri"];
            (nri.is_object() && nri["problem"].is_null() && state["ticks"].as_u64()? >= 2).then_some(())
        });
    }

    /// A pod of a class, with as many CPUs requested as its weight says.
    fn pod(&self, name: &str, class: &str) -> CriPod {
        let kube = if class == "reclaimed_cores" { "besteffort" } else { "burstable" };
        let uid = format!("uid-{name}");
        CriPod {
            name: name.into(),
            annotations: BTreeMap::from([("katalyst.kubewharf.io/qos_level".to_owned(), class.to_owned())]),
            cgroup_parent: format!("{}/{kube}/pod{uid}", self.node.kubepods()),
            uid,
            ..CriPod::default()
        }
    }

    /// Runs it. Its first instruction notes the CPUs that it may run on.
    fn run(&mut self, name: &str, class: &str, cpus: i64) -> Running {
        self.try_run(name, class, cpus).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.containerd.log_tail()))
    }

    fn try_run(&mut self, name: &str, class: &str, cpus: i64) -> Result<Running, tonic::Status> {
        let pod = self.pod(name, class);
        // Kubelet makes a pod's cgroup before its sandbox.
        let parent: CgroupPath = pod.cgroup_parent.parse().unwrap();
        self.node.make_cgroup(&parent);
        launch(&mut self.cri, pod, &noting(name, cpus, &self.node.path("out")))
    }

    fn remove(&mut self, running: &Running) {
        self.cri.remove_pod(&running.sandbox).unwrap_or_else(|e| panic!("{}: {e}", running.pod.name));
    }

    /// What the first instruction of a pod's container saw.
    fn first_seen(&self, name: &str) -> CpuSet {
        noted(&self.node.path("out"), name)
    }

    fn kernel(&self) -> Kernel {
        self.node.kernel()
    }
}

/// A container whose first instruction notes the CPUs that it may run on in a file of this name.
fn noting(name: &str, cpus: i64, out: &Path) -> CriContainer {
    let shares = if cpus == 0 { 2 } else { cpus * 1024 };
    let (container_path, host_path) = ("/out".to_owned(), out.display().to_string());
    CriContainer {
        name: "main".into(),
        image: IMAGE.into(),
        command: ["sh", "-c", "grep Cpus_allowed_list /proc/self/status >/out/$NAME; exec sleep 1000000"].map(str::to_owned).into(),
        env: BTreeMap::from([("NAME".to_owned(), name.to_owned()), ("PATH".to_owned(), "/bin".to_owned())]),
        resources: LinuxContainerResources { cpu_shares: shares, cpu_period: 100_000, ..LinuxContainerResources::default() },
        mounts: vec![Mount { container_path, host_path, ..Mount::default() }],
        ..CriContainer::default()
    }
}

/// What it noted.
fn noted(out: &Path, name: &str) -> CpuSet {
    let text = poll_until("its first instruction", || fs::read_to_string(out.join(name)).ok().filter(|text| text.ends_with('\n')));
    text.split_whitespace().last().unwrap().parse().unwrap()
}

/// Runs a pod with one container; one that cannot be created leaves nothing behind.
fn launch(cri: &mut Cri, pod: CriPod, container: &CriContainer) -> Result<Running, tonic::Status> {
    let sandbox = cri.run_pod(&pod)?;
    let created = cri.create(&sandbox, &pod, container).and_then(|id| cri.start(&id).map(|()| id));
    let id = match created {
        Ok(id) => id,
        Err(status) => {
            let _ = cri.remove_pod(&sandbox);
            return Err(status);
        }
    };
    let cgroup = pod.cgroup_parent.parse::<CgroupPath>().unwrap().join(&id).unwrap();
    Ok(Running { pod, sandbox, container: id, cgroup })
}
