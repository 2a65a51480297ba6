//! The thread that packs ticks and writes them. The event loop waits for neither: what does not fit into the queue is missing, and said to be.

use super::codec::{Encoder, Tick};
use super::files::{FileError, Files};
use super::line::{Header, Line};
use super::member::Member;
use super::settings::RecordSettings;
use gleaner_host::clock;
use gleaner_model::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// One tick, and how many before it are missing.
pub(super) struct Job {
    pub(super) missing: u64,
    pub(super) tick: Box<Tick>,
}

/// A part is written when it is this long before packing, however young it is: so much memory does it take at most, and what a reader has to keep of it.
const LONGEST_PART: u64 = 4 << 20;

/// How often is looked whether a part is old enough when no tick comes.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Writer<T> {
    files: Files,
    header: Header,
    flush_after: Duration,
    /// The next tick is to be a whole one.
    wanted: Arc<AtomicBool>,
    /// Told what is wrong, when that changes.
    tell: T,
    told: Option<Option<String>>,
    encoder: Encoder,
    part: Option<Part>,
    /// Ticks that are missing before the next.
    missing: u64,
    /// This run's header must be written before the next part.
    header_due: bool,
    /// The longest part so far, packed.
    longest: u64,
}

struct Part {
    member: Member,
    begun: Timestamp,
    /// Its first tick is a whole one: it can begin a file.
    whole: bool,
}

impl<T: FnMut(Option<String>)> Writer<T> {
    pub(super) fn new(path: PathBuf, settings: &RecordSettings, header: Header, wanted: Arc<AtomicBool>, tell: T) -> Self {
        Self {
            files: Files::new(path, settings),
            header,
            flush_after: settings.flush_after.get(),
            wanted,
            tell,
            told: None,
            encoder: Encoder::default(),
            part: None,
            missing: 0,
            header_due: true,
            longest: 0,
        }
    }

    /// Writes what comes until nothing more can come.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let opened = self.files.open().map_err(|error| error.to_string());
        self.say(opened.err());
        loop {
            match jobs.recv_timeout(LOOK.min(self.flush_after)) {
                Ok(job) => self.take(job, clock::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
            self.flush_if_due(clock::now());
        }
    }

    pub(super) fn take(&mut self, Job { missing, tick }: Job, now: Timestamp) {
        self.missing = self.missing.saturating_add(missing);
        let whole = tick.states.is_some();
        if !whole && (self.missing > 0 || !self.encoder.can_go_on()) {
            self.lose(1);
            return;
        }
        if whole {
            // It begins a part, so that the part can begin a file.
            self.flush();
        }
        if let Err(cause) = self.add(*tick, whole, now) {
            self.lose(1);
            self.say(Some(cause));
        }
    }

    fn add(&mut self, tick: Tick, whole: bool, now: Timestamp) -> Result<(), String> {
        let line = self.encoder.encode(tick).map_err(|error| error.to_string())?;
        let part = self.part.get_or_insert_with(|| Part { member: Member::new(), begun: now, whole });
        if self.missing > 0 {
            part.member.line(&text(&Line::Gap(self.missing))?).map_err(|error| error.to_string())?;
            self.missing = 0;
        }
        part.member.line(&text(&Line::Tick(Box::new(line)))?).map_err(|error| error.to_string())?;
        part.member.ticks += 1;
        Ok(())
    }

    pub(super) fn flush_if_due(&mut self, now: Timestamp) {
        let due = |part: &Part| part.member.raw >= LONGEST_PART || now.since(part.begun) >= self.flush_after;
        if self.part.as_ref().is_some_and(due) {
            self.flush();
        }
    }

    /// Writes the part that is open.
    pub(super) fn flush(&mut self) {
        let Some(Part { member, whole, .. }) = self.part.take() else { return };
        let ticks = member.ticks;
        match self.write(member, whole) {
            Ok(()) => self.say(None),
            // It was to be so: the file is full, and the next part begins another.
            Err(FileError::TooLong(_)) if !whole => self.lose(ticks),
            Err(error) => {
                self.lose(ticks);
                self.say(Some(error.to_string()));
            }
        }
    }

    fn write(&mut self, member: Member, whole: bool) -> Result<(), FileError> {
        let bytes = member.finish().map_err(|error| FileError::Other(error.to_string()))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.longest = self.longest.max(length);
        self.files.let_go_if_removed();
        if self.files.length().is_none() {
            self.files.open()?;
            self.header_due = true;
        }
        if self.header_due && !whole {
            return Err(FileError::TooLong(length));
        }
        let result = match self.append(&bytes) {
            Err(FileError::TooLong(_)) if whole && self.files.length() > Some(0) => {
                self.files.rotate()?;
                self.header_due = true;
                self.append(&bytes)
            }
            other => other,
        };
        // A part that begins a file is asked for before the file is full.
        let left = self.files.length().is_none_or(|length| self.files.room_after(length) < self.longest.saturating_mul(2));
        if left {
            self.wanted.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Adds a part, after this run's header when that is not there yet. A header alone is of no use, so both fit or none is written.
    fn append(&mut self, part: &[u8]) -> Result<(), FileError> {
        if !self.header_due {
            return self.files.append(part);
        }
        let header = Header { wall: clock::wall(), ..self.header.clone() };
        let mut member = Member::new();
        let line = text(&Line::Header(Box::new(header))).map_err(FileError::Other)?;
        member.line(&line).map_err(|error| FileError::Other(error.to_string()))?;
        let mut bytes = member.finish().map_err(|error| FileError::Other(error.to_string()))?;
        bytes.extend_from_slice(part);
        self.files.append(&bytes)?;
        self.header_due = false;
        Ok(())
    }

    fn lose(&mut self, ticks: u64) {
        self.missing = self.missing.saturating_add(ticks);
        self.encoder.forget();
        self.wanted.store(true, Ordering::Relaxed);
    }

    fn say(&mut self, problem: Option<String>) {
        if self.told.as_ref() != Some(&problem) {
            (self.tell)(problem.clone());
            self.told = Some(problem);
        }
    }
}

fn text(line: &Line) -> Result<String, String> {
    serde_json::to_string(line).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
