//! What a replay found, for people.

use super::replay::{Check, Report, Row};
use crate::report::table;

/// The page.
pub(crate) fn draw(report: &Report) -> String {
    let shadow = if report.shadow { ", shadow" } else { "" };
    let mut text = format!("node {}, gleaner {}, mode {}{shadow}\n", report.node, report.gleaner, report.mode);
    text.push_str(&line("ticks", &report.estimates, true));
    text.push_str(&line("states carried", &report.states, false));
    text.push_str(&line("placements", &report.placements, false));
    text.push_str(&line("rounds of eviction", &report.evictions, false));
    report.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    let heading = ["POLICY", "MEAN LENT", "CPU-HOURS", "OF CLAIRVOYANT", "VIOLATIONS", "WORST CUT", "EVICTIONS", "CHANGES/H"];
    let rows: Vec<Vec<String>> = report.policies.iter().map(cells).collect();
    text.push_str(&format!("\n{:.0} s are compared\n{}", report.seconds, table(&heading, &rows)));
    text
}

fn line(what: &str, check: &Check, always: bool) -> String {
    if check.replayed == 0 && !always {
        return String::new();
    }
    let counts = format!("{} {what}, {} identical", check.replayed, check.identical);
    match &check.first_difference {
        None => format!("{counts}\n"),
        Some(d) => {
            let second = d.tick.elapsed().as_secs_f64();
            let (place, field, recorded, replayed) = (&d.place, &d.field, &d.recorded, &d.replayed);
            format!("{counts}, first difference at {place} ({second:.3} s): {field}: recorded {recorded}, replayed {replayed}\n")
        }
    }
}

fn cells(row: &Row) -> Vec<String> {
    let score = &row.score;
    let mark = if row.recorded { " (recorded)" } else { "" };
    vec![
        format!("{}{mark}", row.policy),
        format!("{:.3}", score.mean_lent_cpu),
        format!("{:.3}", score.lent_cpu_hours),
        score.of_clairvoyant.map_or_else(|| "-".to_owned(), |share| format!("{share:.1}%")),
        format!("{:.0} s", score.violation_seconds),
        format!("{:.3}", score.worst_cut_cpu),
        row.evictions.to_string(),
        format!("{:.1}", score.changes_per_hour),
    ]
}
