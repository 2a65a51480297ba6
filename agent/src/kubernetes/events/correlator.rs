//! Which notes become an object, which a longer series, and which nothing: pure, as client-go's correlator of events.

use super::bucket::{Bucket, Rate};
use super::object::{LONGEST_NOTE, cut, object};
use crate::kubernetes::{About, EventKind, EventNote};
use gleaner_model::Timestamp;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// The same note within this time continues its series.
pub(super) const WINDOW: Duration = Duration::from_secs(600);
/// About one object, as client-go's spam filter.
pub(super) const EACH: Rate = Rate { burst: 25, each: Duration::from_secs(300) };
/// About all objects of this node: 10,000 nodes in trouble are then less than 200 a second.
pub(super) const ALL: Rate = Rate { burst: 60, each: Duration::from_secs(60) };

/// A write to the API server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// A new object.
    Create(Box<Event>),
    /// The series of an object that is there; the whole object, in case it is not there any more.
    Series(Box<Event>),
}

/// What makes two notes the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    about: About,
    reason: &'static str,
    warning: bool,
    note: String,
}

#[derive(Debug)]
struct Series {
    event: Event,
    count: i32,
    last: Timestamp,
}

/// What was told lately. Bounded by [`ALL`]: only what found a token is kept, for a limited time.
#[derive(Debug)]
pub(super) struct Correlator {
    node: String,
    series: BTreeMap<Key, Series>,
    objects: BTreeMap<About, Bucket>,
    all: Bucket,
    serial: u64,
}

impl Correlator {
    pub(super) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), series: BTreeMap::new(), objects: BTreeMap::new(), all: Bucket::default(), serial: 0 }
    }

    /// What is to be written for a note at the moment `now`, which people call `at`; `None` when too much was told already. A repetition that is not
    /// written still counts: the next one that is tells of all.
    pub(super) fn take(&mut self, mut note: EventNote, now: Timestamp, at: &MicroTime) -> Option<(Key, Write)> {
        self.series.retain(|_, series| now.since(series.last) < WINDOW);
        self.objects.retain(|_, bucket| !bucket.is_full(now));
        note.note.truncate(cut(&note.note, LONGEST_NOTE).len());
        let key = Key { about: note.about.clone(), reason: note.reason, warning: note.kind == EventKind::Warning, note: note.note.clone() };
        let allowed = self.spend(&note.about, now);
        if let Some(series) = self.series.get_mut(&key) {
            series.count = series.count.saturating_add(1);
            series.last = now;
            series.event.series = Some(EventSeries { count: series.count, last_observed_time: at.clone() });
            return allowed.then(|| (key, Write::Series(Box::new(series.event.clone()))));
        }
        if !allowed {
            return None;
        }
        self.serial = self.serial.wrapping_add(1);
        let event = object(&self.node, &note, at, self.serial);
        self.series.insert(key.clone(), Series { event: event.clone(), count: 1, last: now });
        Some((key, Write::Create(Box::new(event))))
    }

    /// The object of a note could not be written: the next such note makes a new one.
    pub(super) fn forget(&mut self, key: &Key) {
        self.series.remove(key);
    }

    /// Takes a token of the object and one of the node, or none.
    fn spend(&mut self, about: &About, now: Timestamp) -> bool {
        let mut own = self.objects.get(about).copied().unwrap_or_default();
        if !own.has(EACH, now) || !self.all.has(ALL, now) {
            return false;
        }
        own.take(EACH, now);
        self.all.take(ALL, now);
        self.objects.insert(about.clone(), own);
        true
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.series.len().max(self.objects.len())
    }
}
