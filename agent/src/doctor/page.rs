//! What is shown: a page for people, one object for programs.

use super::facts::Facts;
use super::features::features;
use super::findings::findings;
use super::{Feature, Finding, Group, On, State};
use crate::config::Mode;
use crate::report::{cut, table};
use serde::Serialize;
use std::path::PathBuf;

/// Everything that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    /// The node.
    pub(crate) node: String,
    /// The mode that is judged.
    pub(crate) mode: Mode,
    /// Nothing is to be written.
    pub(crate) shadow: bool,
    /// The configuration's file.
    pub(crate) configuration: Option<PathBuf>,
    /// Nothing is missing that the mode needs.
    pub(crate) ok: bool,
    /// What was looked at.
    pub(crate) findings: Vec<Finding>,
    /// What is on because of it.
    pub(crate) features: Vec<Feature>,
}

impl Diagnosis {
    /// Judges the facts.
    pub(crate) fn of(facts: &Facts) -> Self {
        let findings = findings(facts);
        Self {
            node: facts.node.clone(),
            mode: facts.mode(),
            shadow: facts.shadow(),
            configuration: facts.file.clone(),
            ok: !findings.iter().any(Finding::is_lacking),
            features: features(facts),
            findings,
        }
    }
}

impl Finding {
    /// Whether the mode cannot do its work.
    fn is_lacking(&self) -> bool {
        self.state == State::Missing && self.needed
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Ok => "ok",
            State::Limited => "limited",
            State::Missing if self.needed => "MISSING",
            State::Missing => "missing",
            State::Unknown => "unknown",
        }
    }

    fn row(&self) -> Vec<String> {
        let effect = self.effect.as_ref().map(|effect| format!("; {effect}")).unwrap_or_default();
        vec![self.state().to_owned(), self.name.clone(), format!("{}{effect}", self.what)]
    }
}

impl Feature {
    fn row(&self) -> Vec<String> {
        let on = match self.on {
            On::Yes => "on",
            On::Partly => "partly",
            On::No => "off",
            On::Unknown => "unknown",
        };
        vec![on.to_owned(), self.name.to_owned(), self.because.clone()]
    }
}

/// Draws the page; `width` bounds each line.
pub(crate) fn draw(told: &Diagnosis, width: usize) -> String {
    let shadow = if told.shadow { ", shadow" } else { "" };
    let mut page = format!("gleaner doctor on {}: mode {}{shadow}\n", told.node, told.mode);
    let groups = [(Group::Agent, "AGENT"), (Group::Kernel, "KERNEL"), (Group::Rights, "RIGHTS"), (Group::Kubernetes, "KUBERNETES")];
    let mut sections: Vec<(&str, Vec<Vec<String>>)> = groups
        .iter()
        .map(|(group, title)| (*title, told.findings.iter().filter(|finding| finding.group == *group).map(Finding::row).collect()))
        .collect();
    sections.push(("FEATURES", told.features.iter().map(Feature::row).collect()));
    // One table, so that the columns of all groups stand below each other.
    let rows: Vec<Vec<String>> =
        sections.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect())).collect();
    let text = table(&["", "", ""], &rows);
    let mut lines = text.lines().skip(1);
    for (title, rows) in &sections {
        page.push_str(&format!("\n{title}\n"));
        lines.by_ref().take(rows.len()).for_each(|line| page.push_str(&format!("  {line}\n")));
    }
    page.push_str(&format!("\n{}\n", verdict(told)));
    page.lines().map(|line| cut(line, width) + "\n").collect()
}

/// A cell is one line, whatever others wrote into it.
fn plain(cell: &str) -> String {
    cut(cell, usize::MAX)
}

fn verdict(told: &Diagnosis) -> String {
    let lacking: Vec<&str> = told.findings.iter().filter(|finding| finding.is_lacking()).map(|finding| finding.name.as_str()).collect();
    match lacking.is_empty() {
        true => format!("nothing is missing that mode {} needs", told.mode),
        false => format!("mode {} needs what is missing: {}", told.mode, lacking.join("; ")),
    }
}
