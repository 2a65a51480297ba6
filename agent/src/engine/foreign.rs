//! Resources whose plugins are other processes: nobody waits for them but the pods that ask for them.

use super::Engine;
use crate::remote::{Chosen, RemoteEvent};
use gleaner_model::{ContainerName, NumaSet, Pod, PodUid, Reason, Subject, Timestamp};
use gleaner_qrm_plugins::{Hint, Hints, OtherHints};
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// Tells the plugins who wants what now, and notes how they do.
    pub(super) fn tell_plugins(&mut self, candidates: &[Pod], now: Timestamp) {
        let waiting: BTreeSet<&PodUid> = candidates.iter().map(|pod| &pod.uid).collect();
        let pods = self.runtime.pods().iter().filter(|(uid, pod)| pod.holds_resources() || waiting.contains(uid));
        self.remote.tick(pods.map(|(_, pod)| (pod.spec(), pod.holds_resources())), now);
        let health = self.remote.health(now);
        let listed: BTreeSet<String> = health.iter().map(|(part, _)| part.clone()).collect();
        for part in std::mem::replace(&mut self.remote_parts, listed.clone()).difference(&listed) {
            self.note(part.clone(), None, now);
        }
        for (part, problem) in health {
            self.note(part, problem, now);
        }
        self.hand_out_variables();
    }

    /// A plugin registered or answered, or the place where they register did something.
    pub(super) fn remote_happened(&mut self, event: RemoteEvent, now: Timestamp) {
        match event {
            RemoteEvent::Plugin(event) => {
                if self.remote.happened(event, now) {
                    self.step_unless_settling(now);
                }
            }
            RemoteEvent::Registry(problem) => self.note("plugin registry", problem, now),
        }
    }

    /// Where a candidate's other resources could come from.
    pub(super) fn other_hints(&self, pod: &PodUid, now: Timestamp) -> OtherHints {
        let offers = self.remote.offers(pod, now);
        let of = |(container, by): (ContainerName, BTreeMap<_, Hints>)| {
            by.into_iter().map(move |(resource, hints)| (format!("{resource} for {container}"), hints)).collect::<Vec<_>>()
        };
        offers.into_iter().flat_map(of).collect()
    }

    /// Whether a candidate has what other processes give. While it has not, they are asked for it on the nodes that were chosen.
    ///
    /// # Errors
    /// What it waits for.
    pub(super) fn has_foreign(&mut self, pod: &Pod, nodes: Option<&NumaSet>, now: Timestamp) -> Result<(), String> {
        if pod.containers.iter().all(|container| container.extended.is_empty()) {
            return Ok(());
        }
        let given = self.remote.admit(&pod.uid, |offers| Ok(choice(offers, nodes)), now);
        if given.is_ok() {
            let what = "plugins in other processes gave it what it asks of them".to_owned();
            self.recorder.record(now, Subject::Pod(pod.name.clone()), Reason::Lifecycle { what });
        }
        given
    }

    /// Containers start with the variables that came with what they were given.
    fn hand_out_variables(&mut self) {
        for (pod, container) in self.runtime.lacking_variables() {
            if let Some(variables) = self.remote.envs(&pod, &container) {
                self.runtime.set_variables(&pod, &container, variables);
            }
        }
    }
}

/// The nodes that were chosen, for every resource that has a say; without any, each resource's own best.
fn choice(offers: &gleaner_qrm_plugins::remote::Offers, nodes: Option<&NumaSet>) -> Chosen {
    let best = |hints: &Hints| match (hints, nodes) {
        (Hints::NoPreference, _) => None,
        (Hints::List(list), Some(nodes)) => {
            let offered = list.iter().find(|hint| hint.nodes.as_ref() == Some(nodes));
            Some(offered.cloned().unwrap_or_else(|| Hint::on(nodes.clone(), false)))
        }
        (Hints::List(list), None) => list.first().cloned(),
    };
    let of = |by: &BTreeMap<_, Hints>| by.iter().filter_map(|(name, hints)| Some((Clone::clone(name), best(hints)?))).collect();
    offers.iter().map(|(container, by)| (container.clone(), of(by))).collect()
}
