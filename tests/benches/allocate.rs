//! What an enhanced kubelet waits for: hints and allocations on a large node, the pure part alone, and over a real socket.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_model::{Bytes, CpuId, KubeQos, MilliCpu, NodeInfo, NumaId, PodName, PodUid, PoolName, QosClass, QosConfig, RawCpu, Topology};
use gleaner_qrm_plugins::{
    Amount, ContainerType, Context, CpuPlugin, Hint, Hints, Ledger, MemoryPlugin, MemoryPolicy, PlacePolicy, Plugins, PodIdentity, Request,
    ReserveRule,
};
use gleaner_tests::Node;
use gleaner_tests::bench::{Series, info, timed, within};
use gleaner_tests::kubelet::{Kubelet, Options, QrmContainer, QrmPod};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

const GIB: u64 = 1 << 30;
const ROUNDS: u32 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut few = None;
    for pods in [50, 100, 200, 500] {
        let (hints, allocate) = solve(pods)?;
        let name = format!("resource plugins, pure, {pods} pods, 256 cpus, 8 nodes, 16 L3");
        info(&format!("{name}, hints"), &hints.spread("us"));
        info(&format!("{name}, allocate"), &allocate.spread("us"));
        let first = *few.get_or_insert(allocate.median());
        if pods == 500 {
            within("resource plugins, pure allocate, 500 pods, p99", allocate.quantile(0.99) / 1000.0, 1.0, "ms");
            // Ten times the pods must cost ten times at most.
            within("resource plugins, pure allocate, growth from 50 to 500 pods", allocate.median() / first, 10.0, "times");
        }
    }
    over_sockets()
}

/// As a kubelet sees it: the real agent on this machine, over its sockets, promises on disk, while it ticks.
fn over_sockets() -> Result<(), Box<dyn Error>> {
    let Some(mut node) = Node::behind_kubelet("allocate") else { return Ok(()) };
    node.start();
    let kubelet = Kubelet::start(&node.path("plugins"), Options::default());
    kubelet.wait_for_plugins(&["cpu", "memory"], Duration::from_secs(20));
    let pods = 500;
    for number in 0..pods + ROUNDS {
        if number >= pods {
            kubelet.remove(&format!("uid-pod-{}", number - pods)).map_err(|failed| format!("{failed:?}"))?;
        }
        let (class, main) = match number % 3 {
            0 => ("reclaimed_cores", QrmContainer::main("main").reclaimed_cpu(MilliCpu::new(1)).reclaimed_memory(Bytes::new(1 << 20))),
            _ => ("shared_cores", QrmContainer::main("main").cpu(MilliCpu::new(1)).memory(Bytes::new(1 << 20))),
        };
        let pod = QrmPod::new(&format!("pod-{number}")).annotation("katalyst.kubewharf.io/qos_level", class).container(main);
        kubelet.admit(&pod).map_err(|rejection| rejection.to_string())?;
    }
    for (method, times) in kubelet.latencies() {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let spread =
            format!("p50 {:.0} us, p99 {:.0} us, max {:.0} us, {} calls", us(times.p50), us(times.p99), us(times.max), times.calls);
        info(&format!("resource plugins, over sockets, 500 pods, {method}"), &spread);
        if method == "Allocate" {
            within("resource plugins, Allocate over sockets, 500 pods, p99", us(times.p99) / 1000.0, 1.0, "ms");
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.agent_pid()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    within("resource plugins, resident memory, 500 pods", resident.unwrap_or(f64::NAN) / 1024.0, 25.0, "MiB");
    drop(kubelet);
    node.kill();
    Ok(())
}

/// Two packages of four NUMA nodes of two L3 caches of eight cores of two threads.
fn machine() -> Result<Topology, Box<dyn Error>> {
    let cpu = |cpu: u32| {
        let core = cpu % 128;
        RawCpu {
            cpu: CpuId::new(cpu),
            core: u64::from(core),
            package: u64::from(core / 64),
            l3: Some(u64::from(core / 8)),
            numa: NumaId::new(core / 16),
        }
    };
    let distance = |a: u32, b: u32| {
        if a == b {
            10
        } else if a / 4 == b / 4 {
            12
        } else {
            32
        }
    };
    let node = |id: u32| NodeInfo {
        id: NumaId::new(id),
        memory: Bytes::new(128 * GIB),
        distances: (0..8).map(|other| (NumaId::new(other), distance(id, other))).collect(),
        hugepages: BTreeMap::new(),
    };
    Ok(Topology::build((0..256).map(cpu).collect(), (0..8).map(node).collect())?)
}

/// Hints and allocations of CPU and memory for pods that come and go while this many are there.
fn solve(pods: u32) -> Result<(Series, Series), Box<dyn Error>> {
    let (topology, place, memory) =
        (machine()?, PlacePolicy { reserve: ReserveRule::Count(4), ..PlacePolicy::default() }, MemoryPolicy::default());
    let (sizes, qos) = (BTreeMap::<PoolName, u32>::new(), QosConfig::default());
    let context = Context { topology: &topology, place: &place, memory: &memory, pool_sizes: &sizes, headroom: None };
    let plugins = Plugins::new(vec![Box::new(CpuPlugin), Box::new(MemoryPlugin)]);
    let mut ledger = Ledger::default();
    let (mut hinting, mut allocating) = (Vec::new(), Vec::new());
    for number in 0..pods + ROUNDS {
        if number >= pods {
            plugins.remove(&context, &mut ledger, &uid(number - pods)?);
        }
        for resource in ["cpu", "memory"] {
            let mut request = request(number, pods, resource)?;
            let (hints, took) = timed(|| plugins.hints(resource, &context, &ledger, &request, &qos));
            if let Hints::List(list) = hints.map_err(|refusal| format!("pod {number}: {refusal}"))?.answer {
                request.hint = list.into_iter().next();
            }
            let (given, spent) = timed(|| plugins.allocate(resource, &context, &mut ledger, &request, &qos));
            given.map_err(|refusal| format!("pod {number} with {:?}: {refusal}", request.hint.as_ref().map(Hint::to_string)))?;
            if number >= pods && resource == "cpu" {
                hinting.push(took);
                allocating.push(spent);
            }
        }
    }
    Ok((Series::new(hinting), Series::new(allocating)))
}

fn uid(number: u32) -> Result<PodUid, Box<dyn Error>> {
    Ok(format!("pod-{number:05}").parse()?)
}

/// Of fifty pods two are dedicated (one of them bound to a NUMA node), two shared and bound, sixteen reclaimed, the rest shared in three pools.
/// Those that are not reclaimed ask for seven tenths of the node, however many they are.
fn request(number: u32, count: u32, resource: &str) -> Result<Request, Box<dyn Error>> {
    let (class, each) = match number % 50 {
        0 | 25 => (QosClass::Dedicated, 1600 * 500 / count),
        n if n % 3 == 2 => (QosClass::Reclaimed, 400 * 500 / count),
        _ => (QosClass::Shared, 300 * 500 / count),
    };
    let mut annotations = BTreeMap::from([("katalyst.kubewharf.io/qos_level".to_owned(), class.to_string())]);
    if matches!(number % 50, 0 | 3 | 33) {
        annotations.insert("katalyst.kubewharf.io/memory_enhancement".to_owned(), r#"{"numa_binding": true}"#.to_owned());
    }
    let pool = if number.is_multiple_of(7) { "web" } else { "search" };
    if class == QosClass::Shared && (number.is_multiple_of(7) || number.is_multiple_of(5)) {
        annotations.insert("katalyst.kubewharf.io/cpu_enhancement".to_owned(), format!(r#"{{"cpuset_pool": "{pool}"}}"#));
    }
    let lent = class == QosClass::Reclaimed;
    let (resource, amount): (&str, Amount) = match (resource, lent) {
        ("cpu", false) => ("cpu", MilliCpu::new(u64::from(each)).into()),
        ("cpu", true) => ("resource.katalyst.kubewharf.io/reclaimed_millicpu", MilliCpu::new(u64::from(each)).into()),
        (_, false) => ("memory", Bytes::new(GIB / 2).into()),
        (_, true) => ("resource.katalyst.kubewharf.io/reclaimed_memory", Bytes::new(GIB / 2).into()),
    };
    Ok(Request {
        pod: PodIdentity {
            uid: uid(number)?,
            name: PodName { namespace: "bench".to_owned(), name: format!("pod-{number}") },
            role: String::new(),
            kind: String::new(),
            labels: BTreeMap::new(),
            annotations,
            kube_qos: KubeQos::Burstable,
        },
        container: "main".parse()?,
        kind: ContainerType::Main,
        index: 0,
        resource: resource.to_owned(),
        amount,
        whole_pod: None,
        hint: None,
        resizing: false,
    })
}
