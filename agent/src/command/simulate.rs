//! Reads traces, runs nodes on threads, prints and draws what came of it. What a node and a policy are is the simulator's.

use super::print;
use crate::cli::{ConfigArgs, SimulateArgs};
use crate::config::Config;
use crate::error::AgentError;
use flate2::read::MultiGzDecoder;
use gleaner_estimator::PolicyName;
use gleaner_simulator::{
    Contender, NodeOutcome, NodePlan, Report, Settings, Source, Text, TraceSet, Trail, contenders, curves, days, place, run_node, sources,
};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Simulates all sets of traces in a folder.
///
/// # Errors
/// When the command line, the configuration or a trace is wrong, or a picture cannot be written.
pub(crate) fn simulate(args: &SimulateArgs) -> Result<ExitCode, AgentError> {
    let settings = settings(args)?;
    let names = policies(&args.policy)?;
    let from_file = ConfigArgs { config: args.config.clone(), state_dir: None, socket: None, cgroup_root: None };
    let config = Config::load(&from_file).map_err(AgentError::Config)?;
    let contenders = contenders(&names, &config.estimator, settings.machine(), args.sweep);
    if let Some(folder) = &args.plot {
        // Before the long part, whose result would have to wait for a better folder.
        fs::create_dir_all(folder).map_err(|error| AgentError::io("create", folder, error))?;
    }
    let mut placed = Vec::new();
    for set in read_all(&args.traces)? {
        let plans = place(&set, &settings).map_err(|error| AgentError::Traces(error.to_string()))?;
        placed.push((set, plans));
    }
    let mut outcomes = run(&placed, &contenders, &settings, threads(args)).into_iter();
    let mut report = Report::new(settings);
    let mut trails = Vec::new();
    for (set, plans) in &placed {
        let mut of_set: Vec<NodeOutcome> = outcomes.by_ref().take(plans.len()).collect();
        trails.push((set.name.as_str(), of_set.first_mut().and_then(|first| first.trail.take())));
        report.add(set, plans, &contenders, &of_set);
    }
    report.total(&contenders);
    print(&if args.json { json(&report)? } else { report.to_string() })?;
    if let Some(folder) = &args.plot {
        plot(folder, &report, &trails, &contenders)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(args: &SimulateArgs) -> Result<Settings, AgentError> {
    let settings = Settings {
        cores: args.cores,
        reserve: args.reserve,
        nodes: args.nodes,
        days: args.days,
        seed: args.seed,
        delay: args.delay,
        step: args.step,
        step_demand: args.step_demand,
        horizon: args.horizon,
        lifetime: args.lifetime,
        warm_up: args.warm_up.get().as_secs(),
        split: args.split,
    };
    settings.validate().map_err(AgentError::Usage)?;
    Ok(settings)
}

/// Each once, in the order of [`PolicyName::ALL`].
fn policies(names: &[String]) -> Result<Vec<PolicyName>, AgentError> {
    let asked: Vec<PolicyName> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(AgentError::Usage)?;
    Ok(PolicyName::ALL.into_iter().filter(|name| asked.is_empty() || asked.contains(name)).collect())
}

fn threads(args: &SimulateArgs) -> usize {
    args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get)).max(1)
}

/// Runs every node, so many at once; the outcomes are in the order of the nodes.
fn run(placed: &[(TraceSet, Vec<NodePlan>)], contenders: &[Contender], settings: &Settings, threads: usize) -> Vec<NodeOutcome> {
    let nodes: Vec<(&TraceSet, &NodePlan)> = placed.iter().flat_map(|(set, plans)| plans.iter().map(move |plan| (set, plan))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((set, plan)) = nodes.get(number) else { return done };
            let mut lenders: Vec<_> = contenders.iter().map(|contender| contender.lender(settings.machine())).collect();
            let trail = (plan.number == 0).then(|| Trail::new(settings.warm_up, settings.step));
            done.push((number, run_node(set, plan, settings, &mut lenders, trail)));
        }
    };
    let mut done: Vec<(usize, NodeOutcome)> = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(nodes.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
        own.into_iter().chain(joined.flatten()).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A trace of ten years is smaller; what unpacks to more is no trace.
const LARGEST: u64 = 256 << 20;

fn read_all(folder: &Path) -> Result<Vec<TraceSet>, AgentError> {
    let failed = |error| AgentError::io("read", folder, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        files.extend(entry.map_err(failed)?.file_name().into_string());
    }
    files.sort_unstable();
    let found = sources(&files).map_err(|error| AgentError::Traces(format!("{}: {error}", folder.display())))?;
    if found.is_empty() {
        let cause = "holds no traces: no NAME_avg.csv with NAME_max.csv and no NAME_dayN.csv, packed (.gz) or not";
        return Err(AgentError::Traces(format!("{} {cause}", folder.display())));
    }
    found.iter().map(|source| read_set(folder, source)).collect()
}

fn read_set(folder: &Path, source: &Source) -> Result<TraceSet, AgentError> {
    let read = |file: &String| read_file(&folder.join(file));
    let set = match source {
        Source::Machines { name, average, max } => {
            let (of_average, of_max) = (read(average)?, read(max)?);
            TraceSet::machines(name, Text { file: average, text: &of_average }, Text { file: max, text: &of_max })
        }
        Source::Node { name, days } => {
            let texts: Vec<(u32, &String, String)> =
                days.iter().map(|(day, file)| Ok((*day, file, read(file)?))).collect::<Result<_, AgentError>>()?;
            let days: Vec<(u32, Text<'_>)> = texts.iter().map(|(day, file, text)| (*day, Text { file, text })).collect();
            TraceSet::node(name, &days)
        }
    };
    set.map_err(|error| AgentError::Traces(error.to_string()))
}

/// The text of a file, unpacked where its name says that it is packed.
fn read_file(path: &Path) -> Result<String, AgentError> {
    let failed = |error| AgentError::io("read", path, error);
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("is not a regular file")));
    }
    let file = File::open(path).map_err(failed)?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let mut source: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut text = String::new();
    source.by_ref().take(LARGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(failed(io::Error::other(format!("is larger than {} MiB", LARGEST >> 20))));
    }
    Ok(text)
}

fn plot(folder: &Path, report: &Report, trails: &[(&str, Option<Trail>)], contenders: &[Contender]) -> Result<(), AgentError> {
    let failed = |error: gleaner_simulator::PlotError| AgentError::Traces(error.to_string());
    for set in &report.sets {
        write(&folder.join(format!("curves-{}.svg", set.name.replace(' ', "-"))), &curves(set).map_err(failed)?)?;
    }
    for (name, trail) in trails {
        let Some(trail) = trail else { continue };
        write(&folder.join(format!("days-{name}.svg")), &days(name, trail, contenders, &report.settings).map_err(failed)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), AgentError> {
    let written = File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| AgentError::io("write", path, error))
}

fn json(report: &Report) -> Result<String, AgentError> {
    let text = serde_json::to_string_pretty(report).map_err(|e| AgentError::io("print", Path::new("the report"), e.into()))?;
    Ok(format!("{text}\n"))
}
