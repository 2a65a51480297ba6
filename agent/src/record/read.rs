//! Reads a recording line by line, as far as it can be read.

use super::line::{FORMAT, Header, LONGEST, Line};
use flate2::read::MultiGzDecoder;
use nix::libc::{O_CLOEXEC, O_NOCTTY, O_NONBLOCK};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What came next in a file.
#[derive(Debug)]
pub(crate) enum Next {
    /// A line.
    Line(Line),
    /// The file ends before its end, and why.
    Broken(String),
    /// The end.
    End,
}

/// The lines of one file.
pub(crate) struct Lines<R> {
    reader: BufReader<MultiGzDecoder<R>>,
    /// The number of the line that was read last, from 1.
    pub(crate) number: u64,
    /// A line of so many bytes is refused.
    longest: u64,
}

/// Opens a recording. Never waits: a fifo or a device in its place is an error.
///
/// # Errors
/// When it is no ordinary file or cannot be read.
pub(crate) fn open(path: &Path) -> io::Result<Lines<BufReader<File>>> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_CLOEXEC | O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    Ok(Lines::new(BufReader::new(file)))
}

impl<R: Read> Lines<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { reader: BufReader::new(MultiGzDecoder::new(packed)), number: 0, longest: LONGEST }
    }

    /// The next line.
    ///
    /// # Errors
    /// What is wrong with the line `number`.
    pub(crate) fn next(&mut self) -> Result<Next, String> {
        let mut text = Vec::new();
        let read = (&mut self.reader).take(self.longest).read_until(b'\n', &mut text);
        match read {
            // What was written last may be cut off, at whatever place: a full disk, a crash.
            Err(error) => return Ok(Next::Broken(error.to_string())),
            Ok(0) => return Ok(Next::End),
            Ok(_) => self.number += 1,
        }
        if text.pop() != Some(b'\n') {
            let long = u64::try_from(text.len()).is_ok_and(|length| length.saturating_add(1) >= self.longest);
            return Err(if long { format!("is longer than {} MiB", self.longest >> 20) } else { "does not end".to_owned() });
        }
        line(&text).map(Next::Line)
    }
}

/// A line, of this format.
fn line(text: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(text).map_err(|error| {
        // A header of another format need not look like ours, but says which it is.
        let value: Value = serde_json::from_slice(text).unwrap_or_default();
        let format = value.pointer("/header/record").and_then(Value::as_u64);
        match format.filter(|format| *format != u64::from(FORMAT)) {
            Some(format) => other_format(format),
            None => format!("is no line of a recording: {error}"),
        }
    })
}

fn other_format(format: u64) -> String {
    format!("recorded in format {format}, and this gleaner reads format {FORMAT}")
}

/// Refuses a header of another format.
pub(crate) fn check(header: &Header) -> Result<(), String> {
    if header.record == FORMAT { Ok(()) } else { Err(other_format(header.record.into())) }
}

#[cfg(test)]
mod tests;
