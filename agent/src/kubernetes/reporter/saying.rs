//! What conditions say of the agent, on the Node and on the CustomNodeResource alike.

use crate::kubernetes::NodeReport;

/// Parts without which pods are not isolated or not known. Where another fails, the agent still does what it is there for, only less well.
const CORE: [&str; 6] = ["cgroups of pods", "journal", "knobs", "placement", "pods", "promises"];
/// A message longer than this is cut: conditions are read in tables.
const LONGEST: usize = 1024;

/// One statement with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saying {
    /// Whether it holds.
    pub(crate) holds: bool,
    /// One word in camel case.
    pub(crate) reason: &'static str,
    /// The same for people.
    pub(crate) message: String,
}

impl Saying {
    fn new(holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds, reason, message: cut(message.into()) }
    }

    /// `True` or `False`.
    pub(crate) const fn status(&self) -> &'static str {
        if self.holds { "True" } else { "False" }
    }
}

/// Whether the agent is well and knows what it lends.
pub(crate) fn ready(report: &NodeReport) -> Saying {
    let (failing, lesser): (Vec<_>, Vec<_>) = report.problems.iter().partition(|(part, _)| CORE.contains(&part.as_str()));
    let lines = |parts: Vec<(&String, &String)>| parts.iter().map(|(part, what)| format!("{part}: {what}")).collect::<Vec<_>>().join("; ");
    if !failing.is_empty() {
        return Saying::new(false, "PartsFailing", lines(failing));
    }
    match (report.shadow, &report.lent) {
        (true, _) => Saying::new(true, "Shadow", "nothing is written to this node and nothing is offered"),
        (false, None) => Saying::new(false, "NothingKnown", "what can be lent is not known, so nothing is offered"),
        (false, Some(_)) if lesser.is_empty() => Saying::new(true, "Ready", "all parts work"),
        (false, Some(_)) => Saying::new(true, "Degraded", lines(lesser)),
    }
}

/// What is said when the agent was told to stop.
pub(crate) fn stopped() -> Saying {
    Saying::new(false, "AgentStopped", "the agent was told to stop, so nothing is offered")
}

/// Whether the cluster's configuration is in force.
pub(crate) fn configured(report: &NodeReport) -> Saying {
    match &report.configuration_refused {
        None => Saying::new(true, "Configured", "the configuration is in force"),
        Some(why) => Saying::new(false, "ConfigurationRefused", why.clone()),
    }
}

fn cut(mut message: String) -> String {
    if message.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}
