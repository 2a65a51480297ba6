//! Tables of percentages as text. No cell holds a comma or a line's end, so none is looked for in quotes.

use super::{Text, TraceError};
use std::collections::BTreeSet;

/// A file with its header read.
pub(super) struct Table<'a> {
    pub(super) names: Vec<&'a str>,
    file: &'a str,
    body: &'a str,
}

/// One row, with the number of its line.
pub(super) struct Row<'a> {
    pub(super) line: usize,
    pub(super) cells: Vec<&'a str>,
}

impl<'a> Table<'a> {
    pub(super) fn read(Text { file, text }: Text<'a>) -> Result<Self, TraceError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (head, body) = text.split_once('\n').unwrap_or((text, ""));
        let table = Self { names: cells(head), file, body };
        let mut seen = BTreeSet::new();
        match table.names.iter().find(|name| name.is_empty() || !seen.insert(**name)) {
            Some(&"") => Err(table.error(Some(1), None, "a column has no name".to_owned())),
            Some(name) => Err(table.error(Some(1), Some(name), "is there twice".to_owned())),
            None => Ok(table),
        }
    }

    /// The rows after the header; empty lines at the end are none.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Row<'a>, TraceError>> {
        let lines = self.body.trim_end().lines().enumerate().map(|(i, line)| Row { line: i + 2, cells: cells(line) });
        lines.map(|row| {
            let (there, should) = (row.cells.len(), self.names.len());
            if there == should { Ok(row) } else { Err(self.error(Some(row.line), None, format!("has {there} cells, the header {should}"))) }
        })
    }

    pub(super) fn error(&self, line: Option<usize>, column: Option<&str>, cause: String) -> TraceError {
        TraceError { file: self.file.to_owned(), line, column: column.map(str::to_owned), cause }
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"')).collect()
}

/// The percentage in a cell; `None` for a hole.
pub(super) fn percent(cell: &str) -> Result<Option<f32>, String> {
    if ["", "na", "nan", "null"].iter().any(|hole| cell.eq_ignore_ascii_case(hole)) {
        return Ok(None);
    }
    match cell.parse::<f32>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(Some(value)),
        Ok(value) => Err(format!("{value} is not from 0 to 100 percent")),
        Err(_) => Err(format!("{:?} is no percentage", cell.chars().take(40).collect::<String>())),
    }
}
