//! The report as text.

use super::{Report, Row, SetReport};
use crate::settings::{Settings, StepDemand};
use gleaner_model::Span;
use std::fmt;

const HEAD: [&str; 9] = ["POLICY", "MARGIN", "LENT", "VIOLATION", "", "WORST CUT", "EVICTIONS", "CHANGES/H", "USED"];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { cores, reserve, seed, delay, step, horizon, lifetime, split, .. } = &self.settings;
        let [delay, step_length] = [*delay, u64::from(*step)].map(Span::from_secs);
        write!(f, "nodes of {cores} CPUs, reserve {reserve}, seed {seed}, {} columns, ", split.as_str())?;
        writeln!(f, "step {step_length}{}, delay {delay}, horizon {horizon}, {}", of_step(&self.settings), lasting(*lifetime))?;
        for part in &self.sets {
            part.write(f, self.settings.warm_up)?;
        }
        Ok(())
    }
}

fn of_step(settings: &Settings) -> &'static str {
    match settings.step_demand {
        _ if settings.step <= 1 => "",
        StepDemand::Max => " (its highest demand)",
        StepDemand::Average => " (its average demand)",
    }
}

fn lasting(lifetime: Option<u32>) -> String {
    lifetime.map_or("machines stay".to_owned(), |days| format!("machines stay {days} days on average"))
}

impl SetReport {
    fn write(&self, f: &mut fmt::Formatter<'_>, warm_up: u64) -> fmt::Result {
        let (nodes, machines, days) = (self.nodes, self.machines, self.node_days);
        let warm_up = Span::from_secs(warm_up);
        write!(
            f,
            "\n{}: {nodes} nodes, {machines} machines, {days:.1} node-days; the first {warm_up} of each node is not scored",
            self.name
        )?;
        match self.rows.first().map(|row| row.unknown_minutes) {
            Some(unknown) if unknown > 0.0 => writeln!(f, ", nor are {unknown:.1} min with a hole in a trace")?,
            _ => writeln!(f)?,
        }
        let mut lines = vec![HEAD.map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for line in &lines {
            let padded = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A policy's configured margin has a star where others were tried too.
fn cells(row: &Row) -> [String; 9] {
    let star = if row.chosen { "*" } else { "" };
    [
        row.policy.to_string(),
        format!("{star}{}", row.margin),
        row.lent_percent.map_or("-".to_owned(), |lent| format!("{lent:.1}%")),
        format!("{:.1} min", row.violation_minutes),
        format!("{:.4}%", row.violation_percent),
        format!("{:.1} CPUs", row.worst_cut),
        row.evictions.to_string(),
        format!("{:.1}", row.changes_per_hour),
        format!("{:.1}% -> {:.1}%", row.used_before, row.used_after),
    ]
}
