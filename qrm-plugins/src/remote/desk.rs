//! Everything about one resource: what its plugin is asked, in which order, and what follows from its answers. Knows nothing of other
//! resources, so none can disturb another.

use super::call::{Answer, CallId, Fault, Told};
use super::plugin::Plugin;
use super::retry::Retry;
use super::share::{Share, State};
use crate::{Allocations, ContainerAllocation, Hint, Hints, PluginOptions};
use gleaner_model::{ContainerName, PodUid, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Hints older than this are asked for again before somebody chooses among them.
const FRESH: Duration = Duration::from_secs(10);
/// Pods that a plugin is still to forget, at most. Beyond it the one that failed most often is given up.
const LEAVING: usize = 1024;

/// A pod and the place of one of its containers, so that containers are served in the order of the manifest.
pub(super) type Key = (PodUid, usize);

/// What a plugin was asked last.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    Options,
    Hints(Key),
    Allocate(Key),
    Remove(PodUid),
    List,
}

/// How one share stands.
pub(super) enum Standing<'a> {
    Waiting(String),
    Refused(String),
    /// It may be placed so.
    Offered(Hints),
    Given(&'a ContainerAllocation),
}

/// One resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Desk {
    pub(super) plugin: Option<Plugin>,
    pub(super) shares: BTreeMap<Key, Share>,
    /// Pods whose resources the plugin is to free.
    pub(super) leaving: BTreeMap<PodUid, Retry>,
    asked: Option<(CallId, Asked)>,
}

impl Desk {
    /// A plugin registered, for the first time or again. What was asked of an earlier one is asked of this one.
    pub(super) fn registered(&mut self, options: Option<PluginOptions>, now: Timestamp) {
        self.plugin = Some(Plugin::new(options, now));
        self.asked = None;
        self.leaving.values_mut().for_each(|retry| *retry = Retry::default());
        for share in self.shares.values_mut() {
            (share.retry, share.refused) = (Retry::default(), None);
            if matches!(share.state, State::Hinted { .. }) {
                share.state = State::Unhinted;
            }
        }
    }

    /// Whether nothing is lost without it.
    pub(super) fn is_idle(&self) -> bool {
        self.plugin.is_none() && self.shares.is_empty()
    }

    /// A pod wants nothing any more.
    pub(super) fn forget(&mut self, pod: &PodUid) {
        let touched = self.of(pod).any(|share| share.touched);
        self.shares.retain(|(uid, _), _| uid != pod);
        if touched {
            self.make_leave(pod.clone());
        }
    }

    /// Whatever a pod has is freed, and it begins anew.
    pub(super) fn take_back(&mut self, pod: &PodUid) {
        if self.of(pod).any(|share| share.touched) {
            self.make_leave(pod.clone());
        }
        for share in self.of_mut(pod) {
            share.start_again();
        }
    }

    /// A pod runs, so what it has stays, whatever its plugin does.
    pub(super) fn run(&mut self, pod: &PodUid) {
        for share in self.of_mut(pod).filter(|share| matches!(share.state, State::Unhinted | State::Hinted { .. })) {
            share.state = State::Unlisted;
        }
    }

    fn make_leave(&mut self, pod: PodUid) {
        self.leaving.entry(pod).or_default();
        if self.leaving.len() > LEAVING
            && let Some(worst) = self.leaving.iter().max_by_key(|(_, retry)| retry.failures()).map(|(uid, _)| uid.clone())
        {
            self.leaving.remove(&worst);
        }
    }

    /// What the plugin is to be asked now.
    pub(super) fn next(&self, now: Timestamp) -> Option<Asked> {
        let plugin = self.plugin.as_ref().filter(|plugin| self.asked.is_none() && plugin.retry.is_due(now))?;
        if plugin.options.is_none() || plugin.is_silent() {
            return Some(Asked::Options);
        }
        if plugin.list_is_due(now) {
            return Some(Asked::List);
        }
        let leaving = self.leaving.iter().filter(|(_, retry)| retry.is_due(now));
        if let Some((pod, _)) = leaving.min_by_key(|(uid, retry)| (retry.not_before(), *uid)) {
            return Some(Asked::Remove(pod.clone()));
        }
        let allocates = |share: &Share| share.wants_allocation() || (share.state == State::Unlisted && !plugin.reconciles());
        let hints = |share: &Share| match &share.state {
            State::Unhinted => plugin.aligns(),
            State::Hinted { at, .. } => plugin.aligns() && now.since(*at) >= FRESH,
            _ => false,
        };
        let allocate = self.due(now, allocates).map(Asked::Allocate);
        allocate.or_else(|| self.due(now, hints).map(Asked::Hints))
    }

    /// Of the shares like this the one that waits longest. Nothing is asked for a pod before what it had is freed.
    fn due(&self, now: Timestamp, like: impl Fn(&Share) -> bool) -> Option<Key> {
        let ready = |(key, share): &(&Key, &Share)| share.retry.is_due(now) && !self.leaving.contains_key(&key.0) && like(share);
        self.shares.iter().filter(ready).min_by_key(|(key, share)| (share.retry.not_before(), *key)).map(|(key, _)| key.clone())
    }

    /// Notes that it is asked.
    pub(super) fn ask(&mut self, id: CallId, asked: Asked) {
        if let Asked::Allocate(key) = &asked
            && let Some(share) = self.shares.get_mut(key)
        {
            share.touched = true;
        }
        self.asked = Some((id, asked));
    }

    /// Takes an answer in. False when nobody waits for it.
    pub(super) fn answered(&mut self, id: CallId, answer: Answer, runs: impl Fn(&PodUid) -> bool, now: Timestamp) -> bool {
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == id) else { return false };
        let Some(plugin) = &mut self.plugin else { return false };
        match answer {
            Err(Fault::Silent(cause)) => {
                plugin.was_silent(cause, now);
                self.failed(&asked, now);
            }
            Err(Fault::Refused(cause)) => {
                plugin.answered();
                self.refused(&asked, cause, &runs, now);
            }
            Ok(told) => {
                plugin.answered();
                self.told(asked, told, &runs, now);
            }
        }
        true
    }

    /// What was asked waits before it is asked again.
    fn failed(&mut self, asked: &Asked, now: Timestamp) {
        match asked {
            Asked::Options => {}
            Asked::Hints(key) | Asked::Allocate(key) => {
                if let Some(share) = self.shares.get_mut(key) {
                    share.retry.fail(now);
                    if matches!(share.state, State::Hinted { .. }) {
                        share.state = State::Unhinted;
                    }
                }
            }
            Asked::Remove(pod) => {
                if let Some(retry) = self.leaving.get_mut(pod) {
                    retry.fail(now);
                }
            }
            Asked::List => {
                if let Some(plugin) = &mut self.plugin {
                    plugin.list_retry.fail(now);
                }
            }
        }
    }

    fn refused(&mut self, asked: &Asked, cause: String, runs: &impl Fn(&PodUid) -> bool, now: Timestamp) {
        self.failed(asked, now);
        let Some(plugin) = &mut self.plugin else { return };
        match asked {
            // One that told its options when it registered need not tell them again.
            Asked::Options if plugin.options.is_some() => {}
            Asked::Options => {
                plugin.complain("GetResourcePluginOptions", Some(cause));
                plugin.retry.fail(now);
            }
            Asked::Hints(key) | Asked::Allocate(key) => {
                let Some(share) = self.shares.get_mut(key) else { return };
                share.refused = Some(cause);
                // The hint that was chosen may be what it is refused for.
                if matches!(share.state, State::Chosen { .. }) && !runs(&key.0) {
                    share.state = State::Unhinted;
                }
            }
            Asked::Remove(_) => plugin.complain("RemovePod", Some(cause)),
            Asked::List => {
                plugin.complain("GetResourcesAllocation", Some(cause));
                self.list_is_silent_about(|_, _| true);
            }
        }
    }

    fn told(&mut self, asked: Asked, told: Told, runs: &impl Fn(&PodUid) -> bool, now: Timestamp) {
        let Some(plugin) = &mut self.plugin else { return };
        match (asked, told) {
            (Asked::Options, Told::Options(options)) => {
                plugin.complain("GetResourcePluginOptions", None);
                plugin.options = Some(options);
            }
            (Asked::Hints(key), Told::Hints(hints)) => {
                let asks = |share: &&mut Share| matches!(share.state, State::Unhinted | State::Hinted { .. });
                if let Some(share) = self.shares.get_mut(&key).filter(asks) {
                    (share.state, share.refused) = (State::Hinted { hints, at: now }, None);
                }
            }
            (Asked::Allocate(key), Told::Allocated(given)) => {
                let waits = |share: &&mut Share| matches!(share.state, State::Chosen { .. } | State::Given { .. } | State::Unlisted);
                if let Some(share) = self.shares.get_mut(&key).filter(waits) {
                    share.state = State::Given { hint: share.hint(), given, missing: false };
                    (share.retry, share.refused) = (Retry::default(), None);
                }
            }
            (Asked::Remove(pod), Told::Removed) => {
                plugin.complain("RemovePod", None);
                self.leaving.remove(&pod);
                // There is room that was not there before.
                self.shares.values_mut().for_each(|share| share.retry.hasten(now));
            }
            (Asked::List, Told::Allocations(all)) => {
                plugin.complain("GetResourcesAllocation", None);
                plugin.listed(now);
                self.compare(&all);
            }
            (asked, _) => self.refused(&asked, "it answered another question".to_owned(), runs, now),
        }
    }

    /// Compares what the plugin has on its list with what is known here.
    fn compare(&mut self, all: &Allocations) {
        // What the plugin does not have it need not free.
        self.leaving.retain(|pod, _| all.contains_key(pod));
        let known = |pod: &PodUid| self.of(pod).next().is_some();
        let strangers: Vec<PodUid> = all.keys().filter(|pod| !known(pod)).take(LEAVING).cloned().collect();
        strangers.into_iter().for_each(|pod| self.make_leave(pod));
        let listed =
            |pod: &PodUid, container: &ContainerName| all.get(pod).and_then(|of| of.get(container)).filter(|given| !given.is_empty());
        for ((pod, _), share) in &mut self.shares {
            let Some(found) = listed(pod, &share.container) else { continue };
            share.touched = true;
            if matches!(share.state, State::Given { .. } | State::Unlisted) {
                let hint = share.hint().or_else(|| found.values().find_map(|given| given.hint.clone()));
                share.state = State::Given { hint, given: found.clone(), missing: false };
            }
        }
        self.list_is_silent_about(|pod, container| listed(pod, container).is_none());
    }

    /// What should be on the plugin's list and is not is to be given again.
    fn list_is_silent_about(&mut self, absent: impl Fn(&PodUid, &ContainerName) -> bool) {
        for ((pod, _), share) in &mut self.shares {
            if absent(pod, &share.container) {
                match &mut share.state {
                    // Who was given nothing is on no list.
                    State::Given { given, missing, .. } => *missing = !given.is_empty(),
                    State::Unlisted => share.state = State::Chosen { hint: None },
                    State::Unhinted | State::Hinted { .. } | State::Chosen { .. } => {}
                }
            }
        }
    }

    /// How a share stands.
    pub(super) fn standing<'a>(&'a self, key: &Key, share: &'a Share, now: Timestamp) -> Standing<'a> {
        if let State::Given { given, .. } = &share.state {
            return Standing::Given(given);
        }
        let Some(plugin) = &self.plugin else { return Standing::Waiting("its plugin is not registered".to_owned()) };
        if let Some(obstacle) = plugin.obstacle(now) {
            return Standing::Waiting(obstacle);
        }
        if self.leaving.contains_key(&key.0) {
            return Standing::Waiting("what the pod had of it before is not freed yet".to_owned());
        }
        match &share.state {
            State::Hinted { hints, .. } => Standing::Offered(hints.clone()),
            // Without alignment there is nothing to ask; one that was refused rests a while.
            State::Unhinted if !plugin.aligns() && share.retry.is_due(now) => Standing::Offered(Hints::NoPreference),
            _ => match &share.refused {
                Some(cause) => Standing::Refused(cause.clone()),
                None => Standing::Waiting(format!("its plugin is asked {}", question(&share.state))),
            },
        }
    }

    /// The caller chose; `hint` tells what for which container.
    pub(super) fn choose(&mut self, pod: &PodUid, hint: impl Fn(&ContainerName) -> Option<Hint>) {
        for share in self.of_mut(pod).filter(|share| matches!(share.state, State::Unhinted | State::Hinted { .. })) {
            share.state = State::Chosen { hint: hint(&share.container) };
        }
    }

    /// The shares of a pod.
    pub(super) fn of(&self, pod: &PodUid) -> impl Iterator<Item = &Share> {
        self.keyed(pod).map(|(_, share)| share)
    }

    /// The same with their keys.
    pub(super) fn keyed(&self, pod: &PodUid) -> impl Iterator<Item = (&Key, &Share)> {
        self.shares.range((pod.clone(), 0)..=(pod.clone(), usize::MAX))
    }

    fn of_mut(&mut self, pod: &PodUid) -> impl Iterator<Item = &mut Share> {
        self.shares.range_mut((pod.clone(), 0)..=(pod.clone(), usize::MAX)).map(|(_, share)| share)
    }
}

fn question(state: &State) -> &'static str {
    match state {
        State::Unhinted | State::Hinted { .. } => "where it could be",
        State::Chosen { .. } | State::Given { .. } => "to give it",
        State::Unlisted => "what it gave",
    }
}
