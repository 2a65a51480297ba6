//! The status page, as text.

use super::table::{filled, known, table};
use super::{NodeState, PodState};
use crate::config::Mode;
use gleaner_estimator::{Estimate, NodeShare};
use gleaner_model::{Decision, MilliCpu, NumaId, Reason, Timestamp};
use std::collections::BTreeMap;

/// Decisions that the page shows.
const DECISIONS: usize = 10;

/// Draws the state. `now` says how long ago things happened; `width` bounds each line.
pub(crate) fn draw(state: &NodeState, now: Timestamp, width: usize) -> String {
    let mut page = heading(state, now);
    page.push_str(&section("PODS", &pods(state)));
    if !state.refused.is_empty() {
        let lines: Vec<String> = state.refused.iter().map(|(file, problems)| format!("{file}: {}\n", problems.join("; "))).collect();
        page.push_str(&section("REFUSED MANIFESTS", &lines.concat()));
    }
    page.push_str(&section("POOLS", &pools(state)));
    page.push_str(&section("RECLAIMABLE NOW", &reclaimable(state)));
    page.push_str(&section("LAST DECISIONS", &decisions(state, now)));
    page.lines().map(|line| cut(line, width) + "\n").collect()
}

/// A line of at most this width. What could steer a terminal is replaced: names and texts come from others.
pub(crate) fn cut(line: &str, width: usize) -> String {
    let plain: String =
        line.chars().map(|c| if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) { '\u{fffd}' } else { c }).collect();
    let line = plain.as_str();
    if line.chars().count() <= width { line.to_owned() } else { line.chars().take(width.saturating_sub(1)).chain(['…']).collect() }
}

fn section(title: &str, body: &str) -> String {
    let indented: String = body.lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{}", if indented.is_empty() { "  none\n".to_owned() } else { indented })
}

fn heading(state: &NodeState, now: Timestamp) -> String {
    let mode = match (state.stopping, state.shadow) {
        (true, _) => ", stopping",
        (false, true) => ", SHADOW: pods run as kubelet would run them, Gleaner writes nothing",
        (false, false) => "",
    };
    let way = match (state.mode, &state.runtime) {
        (Mode::Nri, Some(runtime)) => format!("mode nri, {runtime} asks before it creates containers"),
        (Mode::Nri, None) => "mode nri, no runtime connected: containers are changed soon after they start".to_owned(),
        (mode, _) => format!("mode {mode}"),
    };
    let count = state.cpus.count();
    let usage = known(state.cpu_usage);
    let mut text = format!(
        "gleaner on {}: {count} CPUs ({}), {} of memory, cgroup {}{mode}\n{way}\nnode uses {usage} of {count} CPU; state of {} s ago\n",
        state.node,
        state.cpus,
        state.memory.rounded(),
        state.cgroups,
        now.since(state.at).as_secs(),
    );
    for (part, health) in &state.health {
        if let Some(problem) = &health.problem {
            text.push_str(&format!("DEGRADED {part}: {problem}\n"));
        }
    }
    text
}

fn pods(state: &NodeState) -> String {
    let rows: Vec<Vec<String>> = state.pods.iter().map(pod).collect();
    if rows.is_empty() {
        String::new()
    } else {
        table(&["POD", "CLASS", "STATE", "USAGE", "REQUEST", "CPUS", "POOL", "MEMS", "MEMORY", ""], &rows)
    }
}

fn pod(pod: &PodState) -> Vec<String> {
    // Evictions and refusals are long; the page has the beginning and `gleaner explain` the whole.
    let note = pod.phase.why().map(str::to_owned).or_else(|| pod.trouble.clone());
    let pool = pod.pool.as_ref().map(|pool| match (pool.is_dedicated(), pool.is_isolation()) {
        (true, _) => "dedicated".to_owned(),
        (_, true) => "isolated".to_owned(),
        _ => pool.to_string(),
    });
    vec![
        pod.name.clone(),
        pod.class.as_str().trim_end_matches("_cores").to_owned(),
        pod.phase.to_string(),
        known(pod.cpu_usage),
        pod.cpu_request.to_string(),
        filled(pod.cpus.to_string()),
        known(pool),
        filled(pod.mems.to_string()),
        known(pod.memory.map(gleaner_model::Bytes::rounded)),
        note.unwrap_or_default(),
    ]
}

fn pools(state: &NodeState) -> String {
    let rows: Vec<Vec<String>> = state
        .pools
        .iter()
        .map(|(name, pool)| {
            let size = MilliCpu::from_cpus(pool.cpus.count());
            let size_now = state.estimate.as_ref().and_then(|e| e.pools.get(name)).map(|demand| demand.reason.to_string());
            // A dedicated pool is its pod's, and so are the decisions.
            let owner = state.pods.iter().find(|p| name.is_dedicated() && p.pool.as_ref() == Some(name));
            let decisions = owner.map_or(&pool.decisions, |pod| &pod.decisions);
            let placed = decisions.iter().rev().find(|d| matches!(d.reason, Reason::Placed { .. }));
            vec![
                name_of(state, name),
                filled(pool.cpus.to_string()),
                filled(pool.mems.to_string()),
                pool.pods.to_string(),
                format!("{} of {size}", pool.cpu_usage),
                size_now.or_else(|| placed.map(|d| d.reason.to_string())).unwrap_or_default(),
            ]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["POOL", "CPUS", "MEMS", "PODS", "USAGE", "WHY"], &rows) }
}

/// A pool's name; that of a pool which one pod has for itself is told by its pod, since nobody knows uids.
fn name_of(state: &NodeState, pool: &gleaner_model::PoolName) -> String {
    let owner = state.pods.iter().find(|p| p.pool.as_ref() == Some(pool)).filter(|_| pool.is_dedicated() || pool.is_isolation());
    owner.map_or_else(|| pool.to_string(), |pod| format!("of {}", pod.name))
}

fn reclaimable(state: &NodeState) -> String {
    let Some(estimate) = &state.estimate else { return "not known yet\n".to_owned() };
    format!("{}\n{}\n{}", estimate.cpu_reason, estimate.memory_reason, numa(estimate))
}

/// A line for each NUMA node, where there are several.
fn numa(estimate: &Estimate) -> String {
    let part = |(id, share): (&NumaId, &NodeShare)| {
        let what = if share.cpu.is_zero() && share.memory.is_zero() {
            let supply = &estimate.supply;
            let cpu = supply.cpu_by_node.get(id).copied().unwrap_or_default();
            let memory = supply.memory_by_node.get(id).copied().unwrap_or_default();
            format!("nothing is offered: {cpu} CPU and {} memory are left", memory.rounded())
        } else {
            format!("{} CPU, {} memory", share.cpu, share.memory.rounded())
        };
        (*id, what)
    };
    let unknown = estimate.unknown.iter().map(|(id, missing)| (*id, format!("unknown lends nothing: {missing}")));
    let lines: BTreeMap<NumaId, String> = estimate.by_node.iter().map(part).chain(unknown).collect();
    lines.into_iter().map(|(id, line)| format!("NUMA node {id}: {line}\n")).collect()
}

fn decisions(state: &NodeState, now: Timestamp) -> String {
    // The figures change all the time and stand above already; of each the newest is enough.
    let (mut cpu, mut memory) = (0, 0);
    let news = |d: &&Decision| match d.reason {
        Reason::ReclaimableCpu { .. } => std::mem::replace(&mut cpu, 1) == 0,
        Reason::ReclaimableMemory { .. } => std::mem::replace(&mut memory, 1) == 0,
        _ => true,
    };
    let shown: Vec<&Decision> = state.decisions.iter().rev().filter(news).take(DECISIONS).collect();
    let rows: Vec<Vec<String>> = shown.iter().map(|d| vec![ago(now, d.at), d.subject.to_string(), d.reason.to_string()]).collect();
    if rows.is_empty() { String::new() } else { table(&["WHEN", "WHAT", "WHY"], &rows) }
}

/// How long ago, in the largest whole unit.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> String {
    match now.since(then).as_secs() {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_empty_node_has_a_whole_page() {
        let at = Timestamp::since_boot(Duration::from_secs(10));
        let page = draw(&NodeState::empty(at), at.after(Duration::from_secs(3)), 200);
        for part in ["PODS\n  none", "POOLS\n  none", "RECLAIMABLE NOW\n  not known yet", "LAST DECISIONS\n  none", "state of 3 s ago"] {
            assert!(page.contains(part), "{part:?} is not in\n{page}");
        }
    }

    #[test]
    fn each_numa_node_has_a_line() {
        let mut state = NodeState::empty(Timestamp::default());
        state.estimate = Some(super::super::tests::three_nodes());
        let page = draw(&state, Timestamp::default(), 200);
        let lines: Vec<&str> = page.lines().map(str::trim).filter(|line| line.starts_with("NUMA node")).collect();
        let expected = [
            "NUMA node 0: 1500m CPU, 2.0Gi memory",
            "NUMA node 1: nothing is offered: 60m CPU and 1.0Gi memory are left",
            "NUMA node 2: unknown lends nothing: free memory: EIO",
        ];
        assert_eq!(lines, expected, "{page}");
    }

    #[test]
    fn a_line_never_exceeds_the_terminal() {
        let at = Timestamp::default();
        let page = draw(&NodeState::empty(at), at, 20);
        assert!(page.lines().all(|line| line.chars().count() <= 20), "{page}");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        let mut state = NodeState::empty(Timestamp::default());
        state.refused = [("a\u{1b}[2J\u{202e}.yaml".to_owned(), vec!["x\u{0}".to_owned()])].into();
        let page = draw(&state, Timestamp::default(), 200);
        assert!(page.chars().all(|c| c == '\n' || !c.is_control()) && !page.contains('\u{202e}'), "{page:?}");
    }

    #[test]
    fn ages_are_whole_units() {
        let now = Timestamp::since_boot(Duration::from_secs(10_000));
        let at = |s| Timestamp::since_boot(Duration::from_secs(s));
        assert_eq!(ago(now, at(9_990)), "10 s ago");
        assert_eq!(ago(now, at(9_000)), "16 min ago");
        assert_eq!(ago(now, at(0)), "2 h ago");
        assert_eq!(ago(at(0), now), "0 s ago");
    }
}
