//! Why a pod has what it has, as text.

use super::table::table;
use super::view::ago;
use super::{KnobState, NodeState, PodState};
use crate::error::AgentError;
use gleaner_model::Timestamp;
use std::fmt::Write;

/// Explains one pod, named `NAME` or `NAMESPACE/NAME`.
///
/// # Errors
/// When there is no such pod, or several namespaces have one; both name what there is.
pub(crate) fn explain(state: &NodeState, name: &str, now: Timestamp) -> Result<String, AgentError> {
    let pod = find(state, name)?;
    let mut text = format!("{} is {} and {}", pod.name, pod.class, pod.phase);
    text.push_str(&pod.phase.why().map(|why| format!(": {why}")).unwrap_or_default());
    text.push('\n');
    text.push_str(&pod.trouble.as_ref().map(|trouble| format!("{trouble}\n")).unwrap_or_default());
    if let Some(file) = state.refused_names.get(&pod.name) {
        let problems = state.refused.get(file).map(|p| p.join("; ")).unwrap_or_default();
        let _ = writeln!(text, "it runs as its manifest was before; now {file} is refused: {problems}");
    }
    match &pod.pool {
        // Writing to a String cannot fail.
        Some(pool) => drop(writeln!(text, "it is in pool {pool}, on CPUs {} and memory nodes {}", pod.cpus, pod.mems)),
        None => text.push_str("it is in no pool\n"),
    }
    if let Some(pool) = pod.pool.as_ref().and_then(|pool| state.pools.get(pool)) {
        for decision in &pool.decisions {
            let _ = writeln!(text, "  {}: {}", ago(now, decision.at), decision.reason);
        }
    }
    if !pod.knobs.is_empty() {
        let shadow = if state.shadow { ", were this not shadow mode" } else { "" };
        let _ = writeln!(text, "\nwhat its cgroups should hold{shadow}");
        let rows: Vec<Vec<String>> =
            pod.knobs.iter().map(|k| vec![k.cgroup.to_string(), k.knob.to_string(), k.value.to_string(), why(k)]).collect();
        text.push_str(&table(&["CGROUP", "KNOB", "VALUE", "WHY"], &rows));
    }
    text.push_str("\nwhat was decided about it, the newest last\n");
    let rows: Vec<Vec<String>> = pod.decisions.iter().map(|d| vec![ago(now, d.at), d.reason.to_string()]).collect();
    text.push_str(&table(&["WHEN", "WHAT"], &rows));
    Ok(text)
}

fn why(knob: &KnobState) -> String {
    if knob.offered { knob.reason.to_string() } else { "not written: this kernel does not have it".to_owned() }
}

fn find<'a>(state: &'a NodeState, name: &str) -> Result<&'a PodState, AgentError> {
    let matches: Vec<&PodState> = state.pods.iter().filter(|p| p.name == name || p.name.rsplit('/').next() == Some(name)).collect();
    match matches.as_slice() {
        [pod] => Ok(pod),
        [] => {
            let by_name = state.refused_names.iter().find(|(pod, _)| *pod == name || pod.rsplit('/').next() == Some(name));
            let file = by_name.map_or(name, |(_, file)| file);
            let refused = state.refused.iter().find(|(source, _)| source.starts_with(file));
            Err(AgentError::NoSuchPod(match refused {
                Some((file, problems)) => format!("manifest {file} was refused: {}", problems.join("; ")),
                None => format!("there is no pod {name:?} on this node; `gleaner status` lists them"),
            }))
        }
        // A pod and its successor of the same name: the one that asks is about the newer, which is not on its way out.
        several if several.iter().all(|p| p.name == name || several.first().is_some_and(|f| f.name == p.name)) => {
            let newest = several.iter().find(|p| !matches!(p.phase, crate::runtime::Phase::Ending { .. }));
            newest.or(several.first()).copied().ok_or_else(|| AgentError::NoSuchPod(name.to_owned()))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|p| p.name.as_str()).collect();
            Err(AgentError::NoSuchPod(format!("several pods are named {name:?}: {}", names.join(", "))))
        }
    }
}
