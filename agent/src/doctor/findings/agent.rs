//! The configuration, and the agent that runs.

use super::Of;
use crate::config::Mode;
use crate::doctor::facts::{Facts, NoAgent};
use crate::doctor::{Finding, Group};

const OF: Of = Of(Group::Agent);

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = configuration(facts);
    all.extend(agent(facts));
    all
}

/// One line for each thing that is wrong.
fn configuration(facts: &Facts) -> Vec<Finding> {
    let name = "configuration";
    if facts.problems.is_empty() {
        let what = facts.file.as_ref().map_or_else(|| "no file: the built-in values".to_owned(), |file| file.display().to_string());
        return vec![OF.ok(name, what)];
    }
    let wrong = |problem: &String| OF.missing(name, problem, "an agent does not start with it: correct it").needed();
    facts.problems.iter().map(wrong).collect()
}

fn agent(facts: &Facts) -> Vec<Finding> {
    let name = "running agent";
    let socket = facts.config.socket.display();
    let says = match &facts.agent {
        Ok(says) => says,
        Err(NoAgent::NotThere(cause)) => {
            let effect = "nobody lends and isolates: start it";
            return vec![OF.missing(name, format!("none on {socket}: {cause}"), effect)];
        }
        Err(NoAgent::NotTold(cause)) => return vec![OF.unknown(name, format!("{socket}: {cause}"))],
    };
    let shadow = if says.shadow { ", shadow" } else { "" };
    let what = match (&says.runtime, says.mode) {
        (Some(runtime), _) => format!("mode {}{shadow}, {runtime} asks before it creates containers", says.mode),
        (None, Mode::Nri) => format!("mode nri{shadow}, no runtime connected"),
        (None, mode) => format!("mode {mode}{shadow}"),
    };
    let own = if says.runtime.is_none() && says.mode == Mode::Nri {
        OF.limited(name, what, "containers are changed soon after they start: see NRI socket below")
    } else {
        OF.ok(name, what)
    };
    let parts = says
        .problems
        .iter()
        .map(|(part, problem)| OF.limited(format!("its part {part}"), problem, "it works less well: see docs/troubleshooting.md"));
    std::iter::once(own).chain(parts).collect()
}
