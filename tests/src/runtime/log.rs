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

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    violations: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Log {
    pub(super) fn add(&self, entry: Entry) {
        self.inner.lock().unwrap().entries.push(entry);
        self.changed.notify_all();
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.add(Entry::Note(text.into()));
    }

    pub(super) fn violation(&self, text: impl Into<String>) {
        self.inner.lock().unwrap().violations.push(text.into());
        self.changed.notify_all();
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.inner.lock().unwrap().entries.clone()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.inner.lock().unwrap().violations.clone()
    }

    /// Takes the violations so far away.
    pub(super) fn forgive(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().violations)
    }

    /// Waits until there is an answer.
    pub(super) fn wait<T>(&self, what: &str, limit: Duration, mut look: impl FnMut(&[Entry], &[String]) -> Option<T>) -> T {
        let until = clock::now().after(limit);
        let mut inner = self.inner.lock().unwrap();
        loop {
            if let Some(found) = look(&inner.entries, &inner.violations) {
                return found;
            }
            let left = until.since(clock::now());
            if left.is_zero() {
                let text = format!("still not so after {limit:?}: {what}\n{:#?}", *inner);
                // A panic under the lock would make every thread fail after this one.
                drop(inner);
                panic!("{text}");
            }
            inner = self.changed.wait_timeout(inner, left).unwrap().0;
        }
    }
}
