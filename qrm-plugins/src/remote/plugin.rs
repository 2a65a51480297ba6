use super::retry::Retry;
use crate::PluginOptions;
use gleaner_model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a plugin that wants it is asked for all its allocations; Katalyst's period.
const LIST_EVERY: Duration = Duration::from_secs(5);

/// How a registered plugin does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plugin {
    /// What it wants of its caller; `None`: not known yet.
    pub(super) options: Option<PluginOptions>,
    /// Since when it does not answer, and what came instead.
    silent: Option<(Timestamp, String)>,
    /// When it may be asked anything again.
    pub(super) retry: Retry,
    /// When its list of allocations is to be asked for.
    list_at: Timestamp,
    pub(super) list_retry: Retry,
    /// What it refuses that it must not, by the name of the call.
    complaints: BTreeMap<&'static str, String>,
}

impl Plugin {
    pub(super) fn new(options: Option<PluginOptions>, now: Timestamp) -> Self {
        let (retry, list_retry) = (Retry::default(), Retry::default());
        Self { options, silent: None, retry, list_at: now, list_retry, complaints: BTreeMap::new() }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.is_some()
    }

    /// It did not answer.
    pub(super) fn was_silent(&mut self, cause: String, now: Timestamp) {
        let since = self.silent.as_ref().map_or(now, |(since, _)| *since);
        self.silent = Some((since, cause));
        self.retry.fail(now);
    }

    /// It answered, whatever it said.
    pub(super) fn answered(&mut self) {
        self.silent = None;
        self.retry = Retry::default();
    }

    /// Whether its list is to be asked for.
    pub(super) fn list_is_due(&self, now: Timestamp) -> bool {
        self.reconciles() && now >= self.list_at && self.list_retry.is_due(now)
    }

    pub(super) fn listed(&mut self, now: Timestamp) {
        self.list_at = now.after(LIST_EVERY);
        self.list_retry = Retry::default();
    }

    pub(super) fn reconciles(&self) -> bool {
        self.options.is_some_and(|options| options.need_reconcile)
    }

    pub(super) fn aligns(&self) -> bool {
        self.options.is_some_and(|options| options.with_topology_alignment)
    }

    /// Notes whether a call does what it must.
    pub(super) fn complain(&mut self, call: &'static str, cause: Option<String>) {
        match cause {
            Some(cause) => drop(self.complaints.insert(call, cause)),
            None => drop(self.complaints.remove(call)),
        }
    }

    /// Why nothing can be asked of it now; `None` when it can.
    pub(super) fn obstacle(&self, now: Timestamp) -> Option<String> {
        match (&self.silent, self.options) {
            (Some((since, cause)), _) => Some(format!("its plugin does not answer since {} s: {cause}", now.since(*since).as_secs())),
            (None, None) => Some(self.complaint().unwrap_or_else(|| "its plugin has not said yet what it wants".to_owned())),
            (None, Some(_)) => None,
        }
    }

    /// What is wrong with it, in one line.
    pub(super) fn problem(&self, now: Timestamp) -> Option<String> {
        self.silent.as_ref().and_then(|_| self.obstacle(now)).or_else(|| self.complaint())
    }

    fn complaint(&self) -> Option<String> {
        self.complaints.iter().next().map(|(call, cause)| format!("its plugin fails {call}: {cause}"))
    }
}
