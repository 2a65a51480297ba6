//! A stock node for benches: many pods on a double of the runtime and one of the API server, before which the real agent is put.

use crate::Node;
use crate::apiserver::{ApiServer, PODS, PodBuilder, Served};
use crate::runtime::{Amounts, ContainerSpec, Created, Options, PodSpec, Runtime};
use crate::source::NODE;
use gleaner_host::clock;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use tempfile::TempDir;

/// What pods of real clusters have and the agent does not need: what was applied, and who manages which field.
const APPLIED: usize = 2048;
const MANAGED: usize = 60;

/// A node with pods. Their cgroups are real and empty.
#[derive(Debug)]
pub struct StockNode {
    /// The agent's.
    pub node: Node,
    /// Where containers are made.
    pub runtime: Runtime,
    api: ApiServer,
    guests: VecDeque<Guest>,
    next: u32,
    _served: Served,
    _folder: TempDir,
}

/// A pod that runs, with its only container.
#[derive(Debug)]
struct Guest {
    name: String,
    sandbox: String,
    created: Created,
}

/// How long each call of a pod's beginning took, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// The sandbox.
    pub pod: f64,
    /// The container, until it is created.
    pub create: f64,
    /// The container, until it runs.
    pub start: f64,
}

impl StockNode {
    /// A node with so many pods, whose agent was not started yet; `None`, and a line that says why, where this machine cannot have one.
    ///
    /// # Panics
    /// When something of it cannot be made.
    #[must_use]
    pub fn new(name: &str, pods: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let node = Node::plugin_of(name, &folder.path().join("nri.sock"))?;
        let api = ApiServer::new();
        api.add_node(NODE, &[]);
        api.configz(NODE, json!({"kubeletconfig": {"cpuManagerPolicy": "none", "cgroupDriver": "cgroupfs"}}));
        let served = api.serve();
        served.kubeconfig(&node.path("kubeconfig"));
        let runtime = Runtime::start(folder.path(), Options::default().on(&node));
        let mut stock = Self { node, runtime, api, guests: VecDeque::new(), next: 0, _served: served, _folder: folder };
        for _ in 0..pods {
            stock.come(true);
        }
        Some(stock)
    }

    /// A pod comes as on a real node; the API server tells of it before the runtime does, or after. Returns how long each call took.
    ///
    /// # Panics
    /// When the runtime or a plugin refuses it.
    pub fn come(&mut self, told_before: bool) -> Beginning {
        let number = self.next;
        self.next += 1;
        let (name, uid) = (format!("pod-{number:04}"), format!("uid-{number:04}"));
        let reclaimed = number % 5 == 2;
        if told_before {
            self.api.add_pod(object(&name, &uid, reclaimed));
        }
        let class = if reclaimed { "reclaimed_cores" } else { "shared_cores" };
        let spec = PodSpec::new(&name, &uid).annotation("katalyst.kubewharf.io/qos_level", class).on(&self.node);
        let container = ContainerSpec::new("main", Amounts::cpu(if reclaimed { 0 } else { 2 }, 0));
        let (sandbox, pod) = super::timed(|| self.runtime.run_pod(&spec));
        let sandbox = sandbox.unwrap_or_else(|e| panic!("{name}: {e}"));
        let (created, create) = super::timed(|| self.runtime.create_container(&sandbox, &container));
        let created = created.unwrap_or_else(|e| panic!("{name}: {e}"));
        let (started, start) = super::timed(|| self.runtime.start_container(&created.id));
        started.unwrap_or_else(|e| panic!("{name}: {e}"));
        if !told_before {
            self.api.add_pod(object(&name, &uid, reclaimed));
        }
        self.guests.push_back(Guest { name, sandbox, created });
        Beginning { pod, create, start }
    }

    /// The oldest pod goes.
    ///
    /// # Panics
    /// When there is none, or the runtime refuses.
    pub fn go(&mut self) {
        let guest = self.guests.pop_front().expect("a pod");
        self.runtime.remove_pod(&guest.sandbox).unwrap_or_else(|e| panic!("{}: {e}", guest.name));
        self.node.remove_pod_cgroups(&guest.created.cgroup);
        self.api.delete(PODS, "default", &guest.name);
    }

    /// How long the plugin takes to answer what exists, in microseconds: from the moment when it is configured. To be asked while it connects.
    #[must_use]
    pub fn synchronized(&self, configured_before: usize) -> f64 {
        use crate::runtime::Entry;
        let is = |entry: &Entry, wanted: &str| match entry {
            Entry::Configured { .. } => wanted == "Configure",
            Entry::Called { method, .. } => wanted == method,
            _ => false,
        };
        let nth = |what: &'static str| {
            move |log: &[Entry]| (log.iter().filter(|entry| is(entry, what)).count() > configured_before).then(clock::now)
        };
        let limit = Duration::from_secs(60);
        let from = self.runtime.wait_for("a plugin is configured", limit, nth("Configure"));
        let to = self.runtime.wait_for("a plugin knows what exists", limit, nth("Synchronize"));
        to.since(from).as_secs_f64() * 1e6
    }

    /// Waits until the agent has placed all pods and is connected.
    pub fn settled(&mut self) {
        let pods = self.guests.len();
        self.node.until("all pods are placed", |state| {
            let placed = state["pods"].as_array()?.iter().filter(|pod| pod["pool"].is_string()).count();
            let nri = &state["health"]["nri"];
            (placed == pods && nri.is_object() && nri["problem"].is_null()).then_some(())
        });
    }
}

/// As the API server has it, as large as real ones are.
fn object(name: &str, uid: &str, reclaimed: bool) -> Value {
    let own = match reclaimed {
        true => [("resource.katalyst.kubewharf.io/reclaimed_millicpu", "5"), ("resource.katalyst.kubewharf.io/reclaimed_memory", "8Mi")],
        false => [("cpu", "2m"), ("memory", "8Mi")],
    };
    let pod = PodBuilder::new(name).uid(uid).node(NODE).class(if reclaimed { "reclaimed_cores" } else { "shared_cores" });
    let limits: &[(&str, &str)] = if reclaimed { &own } else { &[] };
    let managed: Vec<Value> = (0..MANAGED)
        .map(|n| json!({"manager": "controller", "operation": "Update", "fieldsV1": {"f:spec": {format!("f:field-{n}"): {}}}}))
        .collect();
    pod.annotation("kubectl.kubernetes.io/last-applied-configuration", &"x".repeat(APPLIED))
        .container_with("main", &own, limits)
        .field("/metadata/managedFields", json!(managed))
        .build()
}
