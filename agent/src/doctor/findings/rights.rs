//! What this process may do here and in the cluster.

use super::Of;
use crate::doctor::facts::{Answers, Facts, Said};
use crate::doctor::rights::{Need, RIGHTS, Right};
use crate::doctor::{Finding, Group};
use gleaner_host::offers::{DAC_OVERRIDE, Offers, SYS_RESOURCE};

const OF: Of = Of(Group::Rights);

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = vec![user(facts), cgroup_files(facts)];
    if let Some(offers) = facts.offers() {
        all.extend(of_process(offers));
    }
    all.extend(facts.answers().map(|answers| of_cluster(facts, answers)).unwrap_or_default());
    all
}

fn user(facts: &Facts) -> Finding {
    match facts.process.user {
        0 => OF.ok("user", "root"),
        user => {
            let effect = "an agent must run as root, and what only root sees is not told here: run this as root";
            OF.missing("user", format!("user {user}"), effect).needed()
        }
    }
}

fn cgroup_files(facts: &Facts) -> Finding {
    let name = "writing cgroups";
    match &facts.process.writes {
        Ok(()) => OF.ok(name, "allowed"),
        Err(cause) if facts.process.user != 0 => OF.unknown(name, format!("not as this user: {cause}")),
        Err(cause) => {
            let effect = "no pod can be bounded: mount /sys/fs/cgroup of the host so that it can be written";
            OF.missing(name, cause, effect).needed_if(!facts.shadow())
        }
    }
}

fn of_process(offers: &Offers) -> Vec<Finding> {
    let capability = |name: &str, number: u32, effect: &str| {
        if offers.can(number) { OF.ok(name, "held") } else { OF.missing(name, "not held", effect) }
    };
    let mut all = vec![
        capability(
            "CAP_SYS_RESOURCE",
            SYS_RESOURCE,
            "pressure is told late, and no oom_score_adj is lowered: add SYS_RESOURCE to the container's capabilities",
        ),
        capability(
            "CAP_DAC_OVERRIDE",
            DAC_OVERRIDE,
            "oom_score_adj of other users' processes is not written: add DAC_OVERRIDE to the container's capabilities",
        ),
    ];
    if offers.own_users {
        let effect = "capabilities do not hold for the machine: run the agent without a user namespace (hostUsers: true)";
        all.push(OF.limited("user namespace", "one of its own", effect));
    }
    let name = "seeing processes";
    all.push(if offers.sees_all_processes {
        OF.ok(name, "all of the machine")
    } else {
        OF.missing(name, "not those of other containers", "oom_score_adj of pods is not written: set hostPID: true")
    });
    all
}

fn of_cluster(facts: &Facts, answers: &Answers) -> Vec<Finding> {
    // When nothing is known, one line with the cause says as much as many.
    let all_unknown = answers.rights.values().all(|said| matches!(said, Said::NotKnown(_)));
    match answers.rights.values().next() {
        Some(Said::NotKnown(cause)) if all_unknown => vec![OF.unknown("in the cluster", cause)],
        _ => RIGHTS.iter().map(|right| of_right(facts, answers, right)).collect(),
    }
}

fn of_right(facts: &Facts, answers: &Answers, right: &Right) -> Finding {
    let name = right.name();
    let need = right.need(facts);
    if let Need::No(why) = need {
        return OF.ok(name, format!("not used: {why}"));
    }
    if let Some(kind) = right.kind()
        && matches!(answers.kinds.get(kind), Some(Said::No(_)))
    {
        return OF.ok(name, format!("not used: there is no kind {kind}"));
    }
    let said = |verb: &'static str| answers.rights.get(&(right.resource, verb));
    let refused: Vec<&str> = right.verbs.iter().copied().filter(|verb| matches!(said(verb), Some(Said::No(_)))).collect();
    let all = refused.len() == right.verbs.len();
    if !refused.is_empty() {
        let what = if all { "not allowed".to_owned() } else { format!("{} not allowed", refused.join(", ")) };
        let effect = format!("{}: {}", right.lost, right.remedy());
        return match need {
            Need::Must => OF.missing(name, what, effect).needed(),
            _ if all => OF.missing(name, what, effect),
            _ => OF.limited(name, what, effect),
        };
    }
    let unknown = right.verbs.iter().find_map(|verb| match said(verb) {
        Some(Said::Yes | Said::No(_)) => None,
        Some(Said::NotKnown(cause)) => Some(cause.as_str()),
        None => Some("not asked"),
    });
    match unknown {
        Some(cause) => OF.unknown(name, cause),
        None => OF.ok(name, "allowed"),
    }
}
