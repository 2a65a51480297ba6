//! What happened, in order, and what a plugin did that it must not do.

use gleaner_host::clock;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A connection was taken; they are numbered from 1.
    Connected(u64),
    /// A plugin registered.
    Registered {
        /// Its connection.
        connection: u64,
        /// Index and name, as in `10-gleaner`.
        plugin: String,
        /// What it said of its version.
        nri_version: String,
    },
    /// RegisterPlugin was refused; the connection stays.
    Refused {
        /// The plugin's connection.
        connection: u64,
        /// The words that it was told.
        reason: String,
    },
    /// A plugin said which events it wants, as a mask.
    Configured {
        /// The plugin.
        plugin: String,
        /// The mask.
        events: i32,
    },
    /// The handshake is complete: events go to this plugin from now on.
    Added(String),
    /// The plugin will never get an event, although its connection is open.
    Zombie(String),
    /// A plugin was called.
    Called {
        /// The plugin.
        plugin: String,
        /// The method; for StateChange the event's name behind a colon.
        method: String,
        /// The container, else the sandbox, that it was about; empty for the handshake.
        subject: String,
        /// What came back: `ok`, or why not.
        outcome: String,
    },
    /// A plugin called.
    Received {
        /// The plugin.
        plugin: String,
        /// The method.
        method: String,
    },
    /// A connection is closed.
    Closed {
        /// The plugin.
        plugin: String,
        /// Why.
        why: String,
    },
    /// What the runtime would log.
    Note(String),
}

#[derive(Debug, Clone, Default)]
struct Inner {
    entries: Vec<Entry>,
    violations: Vec<String>,
    changes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Log {
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock().unwrap();
        inner.changes += 1;
        self.changed.notify_all();
        change(&mut inner)
    }

    pub(super) fn add(&self, entry: Entry) {
        self.change(|inner| inner.entries.push(entry));
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.add(Entry::Note(text.into()));
    }

    pub(super) fn violation(&self, text: impl Into<String>) {
        self.change(|inner| inner.violations.push(text.into()));
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.inner.lock().unwrap().entries.clone()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.inner.lock().unwrap().violations.clone()
    }

    /// Takes the violations so far away.
    pub(super) fn forgive(&self) -> Vec<String> {
        self.change(|inner| std::mem::take(&mut inner.violations))
    }

    /// Waits until there is an answer. It is looked for without the lock, so that it may ask the runtime too.
    pub(super) fn wait<T>(&self, what: &str, limit: Duration, mut look: impl FnMut(&[Entry], &[String]) -> Option<T>) -> T {
        let until = clock::now().after(limit);
        loop {
            let seen = self.inner.lock().unwrap().clone();
            if let Some(found) = look(&seen.entries, &seen.violations) {
                return found;
            }
            let left = until.since(clock::now());
            assert!(!left.is_zero(), "still not so after {limit:?}: {what}\n{seen:#?}");
            let inner = self.inner.lock().unwrap();
            drop(self.changed.wait_timeout_while(inner, left, |inner| inner.changes == seen.changes).unwrap());
        }
    }
}
