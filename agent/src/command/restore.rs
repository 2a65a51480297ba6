//! Puts a node back as it was, without an agent.

use super::{event_loop, require_root, say};
use crate::cli::RestoreArgs;
use crate::config::Config;
use crate::error::AgentError;
use crate::kubernetes;
use crate::runtime;
use gleaner_host::arbiter::{Arbiter, RestoreReport};
use gleaner_host::cgroup::{self, Layout};
use gleaner_host::lock::Lock;
use gleaner_model::CgroupPath;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Undoes what an agent that no longer runs did to kernel files.
///
/// # Errors
/// When an agent runs, or the journal cannot be read.
pub(crate) fn restore(args: &RestoreArgs) -> Result<ExitCode, AgentError> {
    let config = Config::load(&args.config).map_err(AgentError::Config)?;
    require_root("restore", "writes cgroups")?;
    let kernel = restore_kernel(args, &config)?;
    let runtime = event_loop()?;
    let withdrawn = runtime.block_on(withdraw(&config));
    if args.wait {
        say("waiting to be told to stop\n");
        runtime.block_on(stop_signal())?;
    }
    Ok(if kernel && withdrawn { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes away what was reported to the cluster, where there is one. False when some of it is left.
async fn withdraw(config: &Config) -> bool {
    let hostname = gleaner_host::node::Inventory::read().map(|node| node.hostname).unwrap_or_default();
    let cluster = match kubernetes::connect(&config.kubernetes, &hostname).await {
        Ok(cluster) => cluster,
        // Without a word on a cluster there is none to take anything away from.
        Err(_) if config.kubernetes.kubeconfig.as_os_str().is_empty() => {
            say("no cluster is known here (no kubeconfig, no service account): what a Node was told is not touched\n");
            return true;
        }
        Err(error) => {
            say(&format!("NOT withdrawn: {error}\n"));
            return false;
        }
    };
    let left = kubernetes::remove(cluster.client, &cluster.node).await;
    left.iter().for_each(|line| say(&format!("NOT withdrawn: {line}\n")));
    if left.is_empty() {
        say(&format!("withdrawn from node {}: reclaimed resources, conditions, taint, CustomNodeResource\n", cluster.node));
    }
    left.is_empty()
}

async fn stop_signal() -> Result<(), AgentError> {
    let failed = |e| AgentError::io("receive", Path::new("signals"), e);
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Puts kernel files back. False when one could not be.
fn restore_kernel(args: &RestoreArgs, config: &Config) -> Result<bool, AgentError> {
    if !config.journal().exists() {
        say(&format!("nothing to restore: there is no journal at {}\n", config.journal().display()));
        return Ok(true);
    }
    let layout = Layout::detect()?;
    let _lock = Lock::take(&config.state_dir.join("lock"))?;
    // What is put back is what the journal speaks of, whatever tree a new agent would use.
    let tree = Arbiter::journaled_tree(&config.journal()).unwrap_or_else(|| config.kubepods());
    let (mut arbiter, warnings) = Arbiter::open(layout.clone(), tree.clone(), &config.journal())?;
    let mut text: String = warnings.iter().map(|warning| format!("note: {warning}\n")).collect();
    let report = arbiter.restore();
    if args.stop_pods {
        let ended = stop_pods(&layout, &tree, &mut arbiter)?;
        let _ = writeln!(text, "{ended} pods ended");
    }
    let left = if args.stop_pods { arbiter.restore().remaining_cgroups } else { report.remaining_cgroups.clone() };
    describe(&report, &mut text);
    if !left.is_empty() {
        let _ = writeln!(text, "{} cgroups that the agent made still hold processes; `gleaner restore --stop-pods` ends them", left.len());
    }
    say(&text);
    Ok(report.failed.is_empty())
}

fn describe(report: &RestoreReport, text: &mut String) {
    for restored in &report.restored {
        let _ = writeln!(text, "restored {} {}: {} -> {}", restored.cgroup, restored.what, restored.from, restored.to);
    }
    for failed in &report.failed {
        let _ = writeln!(text, "NOT restored {failed}");
    }
    let _ = writeln!(text, "{} restored, {} gone with their cgroups, {} failed", report.restored.len(), report.gone, report.failed.len());
}

/// Ends the pods that a standalone agent left running and says how many; pods of others are not in the journal.
fn stop_pods(layout: &Layout, tree: &CgroupPath, arbiter: &mut Arbiter) -> Result<usize, AgentError> {
    let found = match cgroup::discover(layout, tree) {
        // The agent stopped cleanly, or the pods were ended before.
        Err(error) if error.is_gone() => Vec::new(),
        found => found?,
    };
    let ours: Vec<_> = found.into_iter().filter(|pod| arbiter.created(&pod.cgroup)).collect();
    for pod in &ours {
        runtime::clear(layout, arbiter, pod)?;
    }
    Ok(ours.len())
}
