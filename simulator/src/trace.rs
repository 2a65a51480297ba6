//! Usage traces: what files of CSV say, as percent of what a machine was given, row by row.

mod csv;
mod sources;

pub use sources::{Source, sources};

use csv::{Table, percent};
use gleaner_model::WorkloadName;
use thiserror::Error;

/// A place in a file, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}{}{}: {cause}", line.map(|line| format!(" line {line}")).unwrap_or_default(), column.as_ref().map(|column| format!(" column {column}")).unwrap_or_default())]
pub struct TraceError {
    /// The file.
    pub file: String,
    /// Its line, the first is 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// The column by its name.
    pub column: Option<String>,
    /// What is wrong.
    pub cause: String,
}

/// A file's name and what is in it, unpacked.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// For messages.
    pub file: &'a str,
    /// The content.
    pub text: &'a str,
}

/// CPU in one row of a trace, in percent of what the machine was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Average over the row's time.
    pub average: f32,
    /// Highest in the row's time.
    pub max: f32,
}

/// One machine of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What its pods are called: `SET/VirtualMachine/COLUMN`.
    pub workload: WorkloadName,
    /// Row after row; `None` is a hole: nothing is known of that time.
    pub rows: Vec<Option<Load>>,
}

/// What a set is a trace of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Virtual machines, to be placed on nodes.
    Machines,
    /// One whole node.
    Node,
}

/// Traces of the same length that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSet {
    /// From the files' names.
    pub name: String,
    /// What it is a trace of.
    pub kind: Kind,
    /// The time of one row.
    pub row_seconds: u32,
    /// The machines, at least one.
    pub columns: Vec<Column>,
}

const VM_ROW_SECONDS: u32 = 300;
const NODE_ROW_SECONDS: u32 = 10;
const DAY_SECONDS: u32 = 86_400;
const NODE_CPU: &str = "cpu_util_percent";

impl TraceSet {
    /// Virtual machines from a file of averages and one of highest values: one column a machine, one row each 5 minutes, in percent of what the machine was given. An
    /// empty cell, `NA`, `NaN` or `null` is a hole, in either file.
    ///
    /// # Errors
    /// The first thing that is wrong: other columns or rows in the second file, a row of another length, no percentage, less than 0, more than 100, a highest value below the
    /// average.
    pub fn machines(name: &str, average: Text<'_>, max: Text<'_>) -> Result<Self, TraceError> {
        let (of_average, of_max) = (Table::read(average)?, Table::read(max)?);
        if of_average.names != of_max.names {
            return Err(of_max.error(Some(1), None, format!("has other columns than {}", average.file)));
        }
        let mut columns = named(name, &of_average)?;
        let (mut left, mut right) = (of_average.rows(), of_max.rows());
        loop {
            match (left.next(), right.next()) {
                (None, None) => break,
                (Some(average), Some(max)) => add_row(&mut columns, (&of_average, average?), (&of_max, max?))?,
                (Some(_), None) => return Err(of_max.error(None, None, format!("has fewer rows than {}", average.file))),
                (None, Some(_)) => return Err(of_max.error(None, None, format!("has more rows than {}", average.file))),
            }
        }
        if columns.iter().any(|column| column.rows.is_empty()) {
            return Err(of_average.error(None, None, "has no rows".to_owned()));
        }
        Ok(Self { name: name.to_owned(), kind: Kind::Machines, row_seconds: VM_ROW_SECONDS, columns })
    }

    /// One node from the files of days, each with the day's number: `cpu_util_percent` in percent of the node, each 10 s; average and highest value are the same. A day that
    /// is missing between others, and the rest of a day that ends early, are holes.
    ///
    /// # Errors
    /// The first thing that is wrong: no such column, more rows than a day has, no percentage, less than 0, more than 100, a day twice.
    pub fn node(name: &str, days: &[(u32, Text<'_>)]) -> Result<Self, TraceError> {
        let per_day = usize::try_from(DAY_SECONDS / NODE_ROW_SECONDS).unwrap_or(usize::MAX);
        let mut days = days.to_vec();
        days.sort_by_key(|(day, _)| *day);
        let mut rows = Vec::new();
        let mut next = days.first().map_or(0, |(day, _)| *day);
        for (day, text) in days {
            let table = Table::read(text)?;
            let gap = usize::try_from(day.saturating_sub(next)).unwrap_or(0);
            if day < next || gap > LONGEST_GAP {
                return Err(table.error(
                    None,
                    None,
                    format!("day {day} is there twice, or more than {LONGEST_GAP} days after the one before"),
                ));
            }
            let end = rows.len() + per_day * (gap + 1);
            rows.resize(end - per_day, None);
            rows.extend(node_rows(&table)?);
            if rows.len() > end {
                return Err(table.error(None, None, format!("has more than the {per_day} rows of a day")));
            }
            rows.resize(end, None);
            next = day.saturating_add(1);
        }
        let workload = workload(name, "node", || TraceError { file: name.to_owned(), line: None, column: None, cause: String::new() })?;
        Ok(Self { name: name.to_owned(), kind: Kind::Node, row_seconds: NODE_ROW_SECONDS, columns: vec![Column { workload, rows }] })
    }

    /// Rows of the machines, the same for all.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.rows.len())
    }
}

/// More is another trace.
const LONGEST_GAP: usize = 31;

fn workload(set: &str, column: &str, place: impl FnOnce() -> TraceError) -> Result<WorkloadName, TraceError> {
    WorkloadName::new(set, "VirtualMachine", column).map_err(|error| TraceError { cause: error.to_string(), ..place() })
}

fn named(set: &str, table: &Table<'_>) -> Result<Vec<Column>, TraceError> {
    let each = |name: &&str| {
        let workload = workload(set, name, || table.error(Some(1), Some(name), String::new()))?;
        Ok(Column { workload, rows: Vec::new() })
    };
    table.names.iter().map(each).collect()
}

fn add_row(columns: &mut [Column], average: (&Table<'_>, csv::Row<'_>), max: (&Table<'_>, csv::Row<'_>)) -> Result<(), TraceError> {
    let ((of_average, average), (of_max, max)) = (average, max);
    let cells = average.cells.iter().zip(&max.cells).zip(&of_average.names);
    for (column, ((low, high), name)) in columns.iter_mut().zip(cells) {
        let low = percent(low).map_err(|cause| of_average.error(Some(average.line), Some(name), cause))?;
        let high = percent(high).map_err(|cause| of_max.error(Some(max.line), Some(name), cause))?;
        let load = low.zip(high).map(|(average, max)| Load { average, max });
        if let Some(Load { average, max: high }) = load.filter(|load| load.max < load.average) {
            return Err(of_max.error(Some(max.line), Some(name), format!("the highest value {high} is below the average {average}")));
        }
        column.rows.push(load);
    }
    Ok(())
}

fn node_rows(table: &Table<'_>) -> Result<Vec<Option<Load>>, TraceError> {
    let Some(at) = table.names.iter().position(|name| *name == NODE_CPU) else {
        return Err(table.error(Some(1), None, format!("has no column {NODE_CPU}")));
    };
    let each = |row: Result<csv::Row<'_>, TraceError>| {
        let row = row?;
        let value = percent(row.cells.get(at).copied().unwrap_or_default());
        let value = value.map_err(|cause| table.error(Some(row.line), Some(NODE_CPU), cause))?;
        Ok(value.map(|value| Load { average: value, max: value }))
    };
    table.rows().map(each).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
