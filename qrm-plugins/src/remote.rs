//! Resources of plugins in other processes: what is to be asked of whom and when, and what pods may expect.
//!
//! A state machine without a clock or a socket. The caller tells which pods want something ([`Remote::tick`]), which plugins registered and what
//! they answered, makes the calls that come out of [`Remote::calls`], and reads a [`Verdict`] for each pod. It never waits: a plugin that is
//! slow or gone makes the pods wait that want its resource, and nobody else.
//!
//! Admission has two steps. First all plugins say where a container could go ([`Verdict::Offered`]). The caller merges that with CPU and memory
//! and chooses ([`Remote::choose`]); then the plugins give ([`Verdict::Ready`]).

mod call;
mod desk;
mod plugin;
mod retry;
mod share;
mod verdict;
mod want;

pub use call::{Answer, Ask, Call, CallId, Fault, Told};
pub use verdict::{Given, Offers, Verdict};
pub use want::{Want, Wanting};

use crate::{Amount, Hint, PluginOptions, Request};
use desk::{Asked, Desk, Key};
use gleaner_model::{ContainerName, PodUid, ResourceName, Timestamp};
use retry::Retry;
use share::{Share, State};
use std::collections::BTreeMap;
use std::time::Duration;

/// A pod that waits keeps what plugins gave it for so long; then it is given back, so that a pod which cannot run stops nobody who could.
const HOLD: Duration = Duration::from_secs(10);

/// What this process lends.
const LENT: [&str; 2] = ["resource.katalyst.kubewharf.io/reclaimed_millicpu", "resource.katalyst.kubewharf.io/reclaimed_memory"];

/// Whether a resource is one that this process gives out itself, or that must not be given out by others.
#[must_use]
pub fn is_own_resource(name: &ResourceName) -> bool {
    LENT.contains(&name.as_str())
}

/// Everything that is asked of plugins in other processes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remote {
    desks: BTreeMap<ResourceName, Desk>,
    pods: BTreeMap<PodUid, Known>,
    /// Which pods live is known. Before that nothing is asked: whoever is on a plugin's list could be taken for a stranger.
    told_of_pods: bool,
    next_id: u64,
}

/// A pod that wants something.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    wanting: Wanting,
    /// When the caller chose, while the pod waits.
    chosen_at: Option<Timestamp>,
}

impl Remote {
    /// Takes in which pods want something, waiting and running ones. Others are forgotten, and their plugins told to free what they had. A pod
    /// that changed is another pod. What a waiting pod was given and could not use in time is given back.
    pub fn tick(&mut self, wanting: Vec<Wanting>, now: Timestamp) {
        self.told_of_pods = true;
        let mut wanting: BTreeMap<PodUid, Wanting> = wanting.into_iter().map(|each| (each.pod.uid.clone(), each)).collect();
        let gone = self.pods.iter().filter(|(uid, known)| wanting.get(*uid).is_none_or(|now| !now.is_same_pod(&known.wanting)));
        for uid in gone.map(|(uid, _)| uid.clone()).collect::<Vec<_>>() {
            self.forget(&uid);
        }
        for (uid, known) in &mut self.pods {
            let Some(told) = wanting.remove(uid) else { continue };
            let stopped = known.wanting.running && !told.running;
            let held = |since: Timestamp| !told.running && now.since(since) >= HOLD;
            if stopped || known.chosen_at.is_some_and(held) {
                self.desks.values_mut().for_each(|desk| desk.take_back(uid));
                known.chosen_at = None;
            }
            if told.running {
                self.desks.values_mut().for_each(|desk| desk.run(uid));
                known.chosen_at = None;
            }
            known.wanting.running = told.running;
        }
        for (uid, wanting) in wanting {
            self.insert(&wanting);
            self.pods.insert(uid, Known { wanting, chosen_at: None });
        }
        self.desks.retain(|_, desk| !desk.is_idle());
    }

    fn insert(&mut self, wanting: &Wanting) {
        for (place, want) in wanting.containers.iter().enumerate() {
            for (resource, count) in want.amounts.iter().filter(|(_, count)| !count.is_zero()) {
                let share = Share {
                    container: want.container.clone(),
                    kind: want.kind,
                    index: want.index,
                    amount: Amount::from(*count),
                    state: if wanting.running { State::Unlisted } else { State::Unhinted },
                    retry: Retry::default(),
                    refused: None,
                    touched: false,
                };
                let desk = self.desks.entry(resource.clone()).or_default();
                desk.shares.insert((wanting.pod.uid.clone(), place), share);
            }
        }
    }

    /// A pod is gone: its plugins are to free what it had. [`Remote::tick`] without the pod does the same.
    pub fn forget(&mut self, pod: &PodUid) {
        self.pods.remove(pod);
        self.desks.values_mut().for_each(|desk| desk.forget(pod));
    }

    /// A plugin registered for a resource, with its options if it told them. Answers to calls made before count no more, and what they asked is asked
    /// again. What running pods were given stays.
    pub fn registered(&mut self, resource: ResourceName, options: Option<PluginOptions>, now: Timestamp) {
        self.desks.entry(resource).or_default().registered(options, now);
    }

    /// Takes in what came of a call. False when nobody waits for it any more, and nothing changed.
    pub fn answered(&mut self, resource: &ResourceName, id: CallId, answer: Answer, now: Timestamp) -> bool {
        let runs = |pod: &PodUid| self.pods.get(pod).is_some_and(|known| known.wanting.running);
        self.desks.get_mut(resource).is_some_and(|desk| desk.answered(id, answer, runs, now))
    }

    /// Chooses among what was offered for a pod; without a hint for a container and resource its plugin is free to choose. Only a pod whose
    /// verdict is [`Verdict::Offered`] has a choice: false, and nothing done, for any other.
    pub fn choose(&mut self, pod: &PodUid, chosen: &BTreeMap<ContainerName, BTreeMap<ResourceName, Hint>>, now: Timestamp) -> bool {
        if !matches!(self.verdict(pod, now), Verdict::Offered(_)) {
            return false;
        }
        for (resource, desk) in &mut self.desks {
            desk.choose(pod, |container| chosen.get(container)?.get(resource).cloned());
        }
        if let Some(known) = self.pods.get_mut(pod) {
            known.chosen_at.get_or_insert(now);
        }
        true
    }

    /// The calls that are to be made now, at most one for each plugin that is not being asked already. Each must be followed by an answer, if only
    /// that none came.
    pub fn calls(&mut self, now: Timestamp) -> Vec<Call> {
        let Self { desks, pods, told_of_pods, next_id } = self;
        let mut calls = Vec::new();
        for (resource, desk) in desks.iter_mut().filter(|_| *told_of_pods) {
            let Some(asked) = desk.next(now) else { continue };
            let Some(ask) = ask(resource, desk, &asked, pods) else { continue };
            let id = CallId(*next_id);
            *next_id = next_id.wrapping_add(1);
            desk.ask(id, asked);
            calls.push(Call { id, resource: resource.clone(), ask });
        }
        calls
    }

    /// How each resource's plugin does, by the resource: what is wrong with it, or nothing.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> Vec<(ResourceName, Option<String>)> {
        let problem = |desk: &Desk| match &desk.plugin {
            None => Some("its plugin is not registered".to_owned()),
            Some(plugin) => plugin.problem(now),
        };
        self.desks.iter().map(|(resource, desk)| (resource.clone(), problem(desk))).collect()
    }
}

/// The question as the plugin is to hear it.
fn ask(resource: &ResourceName, desk: &Desk, asked: &Asked, pods: &BTreeMap<PodUid, Known>) -> Option<Ask> {
    let request = |key: &Key, chosen: bool| {
        let (share, pod) = (desk.shares.get(key)?, pods.get(&key.0)?);
        Some(Box::new(Request {
            pod: pod.wanting.pod.clone(),
            container: share.container.clone(),
            kind: share.kind,
            index: share.index,
            resource: resource.as_str().to_owned(),
            amount: share.amount,
            whole_pod: None,
            hint: share.hint().filter(|_| chosen),
            resizing: false,
        }))
    };
    match asked {
        Asked::Options => Some(Ask::Options),
        Asked::Hints(key) => request(key, false).map(Ask::Hints),
        Asked::Allocate(key) => request(key, true).map(Ask::Allocate),
        Asked::Remove(pod) => Some(Ask::RemovePod(pod.clone())),
        Asked::List => Some(Ask::Allocations),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
