//! How often one object of the API server is written because of what a node lends: the estimator and the pacer of reports over days of simulated
//! time, in calm, in tides with noise, and on a trace of a real cluster where the folder `GLEANER_TRACES` has it (`alibaba2018_day3.csv.gz` and so on,
//! of Alibaba's cluster-trace-v2018: `cpu_util_percent,mem_util_percent` of all machines together, each 10 s).
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

/// The agent's own files, since a binary exports nothing. What the bench does not use of them, and their tests, is left alone.
#[allow(dead_code, unused_imports, unused_macros, reason = "see above")]
#[path = "../../agent/src/kubernetes"]
mod kubernetes {
    mod settings;
    pub(crate) use settings::ReportSettings;
    pub(crate) mod reporter {
        pub(crate) mod pacer;
    }
}

use gleaner_estimator::{Input, Policy, State, estimate};
use gleaner_model::{
    Assignment, Bytes, Container, ContainerKind, ContainerReadings, CpuPressure, KubeQos, MemoryReadings, MilliCpu, NodeReadings, Permille,
    Pod, PodName, PodReadings, PodUid, Pressure, PressureLine, QosClass, QosSpec, Reading, Requirement, Snapshot, Timestamp, Topology,
};
use gleaner_tests::bench::{info, pending, within};
use kubernetes::ReportSettings;
use kubernetes::reporter::pacer::{self, Amount, Gap, Other, Pacer, Verdict};
use std::collections::BTreeMap;
use std::error::Error;
use std::f64::consts::TAU;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const GIB: u64 = 1 << 30;
const CPUS: u32 = 64;
const MEMORY: u64 = 256 * GIB;
const DAY: u32 = 86_400;
/// Two objects are written; one write a minute for both is the most that the API server should see of a node.
const MOST: f64 = 30.0;

fn main() -> Result<(), Box<dyn Error>> {
    let topology = Topology::regular(1, 2, 16, 2, Bytes::new(MEMORY / 2))?;
    for (name, noise, tide) in [
        ("a steady day with 3 % noise", 0.03, 0.0),
        ("a steady day with 10 % noise", 0.10, 0.0),
        ("a tide with 3 % noise", 0.03, 0.35),
        ("a tide with 10 % noise", 0.10, 0.35),
    ] {
        print(name, &topology, |second| Some(synthetic(second, noise, tide)))?;
    }
    for day in [3, 4, 5] {
        let name = format!("alibaba2018_day{day}");
        let Some(folder) = std::env::var_os("GLEANER_TRACES") else {
            pending(&format!("writes, {name}"), "at most 30 an hour", "GLEANER_TRACES names no folder");
            continue;
        };
        let rows = read(&Path::new(&folder).join(format!("{name}.csv.gz")))?;
        print(&name, &topology, |second| rows.get(usize::try_from(second / 10).ok()?).copied())?;
    }
    Ok(())
}

/// CPU and memory that are used, as shares of the node.
type Used = (f64, f64);

/// A day in one long wave, with noise from second to second that is the same in each run.
fn synthetic(second: u32, noise: f64, tide: f64) -> Used {
    let wave = (f64::from(second) / f64::from(DAY) * TAU).cos();
    let wobble = |salt| pacer::part(Duration::from_secs(1), salt, u64::from(second)).as_secs_f64().mul_add(2.0, -1.0);
    ((0.45 - tide * wave) * wobble(7).mul_add(noise, 1.0), (0.6 - tide / 5.0 * wave) * wobble(8).mul_add(noise / 5.0, 1.0))
}

fn read(file: &Path) -> Result<Vec<Used>, Box<dyn Error>> {
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output()?;
    if !unpacked.status.success() {
        return Err(String::from_utf8_lossy(&unpacked.stderr).into());
    }
    let text = String::from_utf8(unpacked.stdout)?;
    let row = |line: &str| {
        let (cpu, memory) = line.split_once(',')?;
        Some((cpu.parse::<f64>().ok()? / 100.0, memory.parse::<f64>().ok()? / 100.0))
    };
    // The first line names the columns.
    Ok(text.lines().skip(1).filter_map(row).collect())
}

/// Runs one day, and prints how often an object was written: on average, and in the worst hour but the first.
fn print(name: &str, topology: &Topology, used: impl Fn(u32) -> Option<Used>) -> Result<(), Box<dyn Error>> {
    let mut hours = [0_u32; 24];
    let (mut state, mut pacer, settings) = (State::default(), Pacer::new("node-1"), ReportSettings::default());
    let (mut told, mut lent, mut offered) = ([0, 0], 0, 0);
    for second in 0..DAY {
        let Some(used) = used(second) else { break };
        let snapshot = snapshot(second, used)?;
        let (assignment, advice) = (Assignment::default(), BTreeMap::new());
        let input = Input { snapshot: &snapshot, topology, assignment: &assignment, advice: &advice };
        let (estimate, next) = estimate(&input, &Policy::default(), state);
        state = next;
        let wanted = [estimate.cpu.get(), estimate.memory.get()];
        let least = [u64::from(CPUS) * 10, MEMORY / 100];
        let amounts = (0..2).filter_map(|at| Some(Amount::whole(*told.get(at)?, *wanted.get(at)?, *least.get(at)?)));
        let gap = Gap { amounts: amounts.collect(), other: Other::Same };
        if pacer.decide(&gap, snapshot.at, &settings) == Verdict::Write {
            pacer.wrote(&gap, snapshot.at);
            told = wanted;
            hours.iter_mut().skip(usize::try_from(second / 3600)?).take(1).for_each(|hour| *hour += 1);
        }
        lent += wanted[0];
        offered += wanted[0].min(told[0]);
    }
    let (mean, worst) = (f64::from(hours.iter().sum::<u32>()) / 24.0, hours.iter().skip(1).max().copied().unwrap_or(0));
    let share =
        Permille::of(offered, lent).map_or_else(|| "nothing was lent".to_owned(), |share| format!("{share} of the lent CPU was offered"));
    info(&format!("writes, {name}, an hour and object, mean"), &format!("{mean:.1}; {share}"));
    within(&format!("writes, {name}, an hour and object, the worst hour"), f64::from(worst), MOST, "writes");
    Ok(())
}

/// The node with one shared pod that uses all of it.
fn snapshot(second: u32, (cpu, memory): Used) -> Result<Snapshot, Box<dyn Error>> {
    let at = Timestamp::since_boot(Duration::from_secs(u64::from(second)));
    let cpu = MilliCpu::new(share(u64::from(CPUS) * 1000, cpu));
    let memory = Bytes::new(share(MEMORY, memory));
    let container = Container {
        name: "main".parse()?,
        kind: ContainerKind::Main,
        cpu: Requirement { request: Some(MilliCpu::from_cpus(CPUS / 2)), limit: None },
        memory: Requirement { request: Some(Bytes::new(MEMORY / 2)), limit: None },
        reclaimed_cpu: None,
        reclaimed_memory: None,
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    };
    let readings = PodReadings { containers: BTreeMap::from([("main".parse()?, Box::new(readings(cpu, memory, at)))]) };
    let uid: PodUid = "service".parse()?;
    let pod = Pod {
        workload: None,
        uid: uid.clone(),
        name: PodName { namespace: "bench".to_owned(), name: "service".to_owned() },
        qos: QosSpec::of(QosClass::Shared),
        kube_qos: KubeQos::Burstable,
        priority: 0,
        grace: Duration::from_secs(30),
        containers: vec![container],
    };
    let node = NodeReadings {
        cpu_usage: Reading::present(cpu, at),
        memory_total: Reading::present(Bytes::new(MEMORY), at),
        memory_free: Reading::present(Bytes::new(MEMORY).minus(memory), at),
        memory_available: Reading::present(Bytes::new(MEMORY).minus(memory), at),
        memory_low_watermark: Reading::present(Bytes::new(GIB / 8), at),
        ..NodeReadings::default()
    };
    Ok(Snapshot { at, wall: None, pods: BTreeMap::from([(uid.clone(), pod)]), readings: BTreeMap::from([(uid, readings)]), node })
}

fn readings(cpu: MilliCpu, memory: Bytes, at: Timestamp) -> ContainerReadings {
    let held = MemoryReadings { usage: memory, working_set: memory, anon: memory, file: Bytes::ZERO, inactive_file: Bytes::ZERO };
    let calm = Pressure { some: PressureLine::default(), full: Some(PressureLine::default()) };
    ContainerReadings {
        cpu_usage: Reading::present(cpu, at),
        cpu_pressure: Reading::present(CpuPressure { pressure: calm, waiting: Permille::new(0) }, at),
        memory: Reading::present(held, at),
        ..ContainerReadings::default()
    }
}

/// A share of a whole, to a millionth.
fn share(whole: u64, share: f64) -> u64 {
    let micros = Duration::from_secs_f64(share.clamp(0.0, 1.0)).as_micros();
    u64::try_from(u128::from(whole) * micros / 1_000_000).unwrap_or(whole)
}
