//! The real agent in front of an enhanced kubelet: real sockets, the real kernel, and a kubelet that is strict about every answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: what goes wrong fails the test"
)]

mod admission;
mod damage;
mod kernel;
mod lists;
mod sockets;
mod take_back;

use gleaner_model::{Bytes, CpuSet, MilliCpu};
use gleaner_tests::Node;
use gleaner_tests::kubelet::{Admitted, Kubelet, Options, QrmContainer, QrmPod};
use std::time::Duration;

/// How long the kubelet waits for plugins.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running agent and the kubelet that found its plugins.
struct Behind {
    kubelet: Kubelet,
    node: Node,
}

impl Behind {
    /// `None`, and a line that says why, where this machine cannot have one.
    fn new(test: &str) -> Option<Self> {
        Self::configured(test, "", Options::default())
    }

    fn configured(test: &str, more: &str, options: Options) -> Option<Self> {
        let mut node = Node::behind_kubelet(test)?;
        node.configure_more(more);
        node.start();
        let kubelet = Kubelet::start(&node.path("plugins"), options);
        kubelet.wait_for_plugins(&["cpu", "memory"], PATIENCE);
        Some(Self { kubelet, node })
    }

    fn admit(&self, pod: &QrmPod) -> Admitted {
        self.kubelet.admit(pod).unwrap_or_else(|rejection| panic!("{}: {rejection}", pod.name))
    }

    /// The CPUs that a pod's only container has by the last answer.
    fn cpus(&self, pod: &QrmPod) -> CpuSet {
        cpus_of(&self.kubelet.admitted(&pod.uid).unwrap_or_else(|| panic!("{} is not admitted", pod.name)))
    }
}

fn cpus_of(admitted: &Admitted) -> CpuSet {
    admitted.containers[0].oci["CpusetCpus"].parse().unwrap()
}

fn of_class(name: &str, class: &str) -> QrmPod {
    QrmPod::new(name).annotation("katalyst.kubewharf.io/qos_level", class)
}

fn dedicated(name: &str, cores: u32) -> QrmPod {
    of_class(name, "dedicated_cores").container(QrmContainer::main("main").cpu(MilliCpu::from_cpus(cores)).memory(Bytes::new(32 << 20)))
}

fn shared(name: &str, milli: u64) -> QrmPod {
    of_class(name, "shared_cores").container(QrmContainer::main("main").cpu(MilliCpu::new(milli)).memory(Bytes::new(32 << 20)))
}

fn reclaimed(name: &str, milli: u64) -> QrmPod {
    let container = QrmContainer::main("main").reclaimed_cpu(MilliCpu::new(milli)).reclaimed_memory(Bytes::new(32 << 20));
    of_class(name, "reclaimed_cores").container(container)
}

/// CPUs of this machine.
fn online() -> CpuSet {
    std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap().trim().parse().unwrap()
}
