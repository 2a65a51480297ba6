//! Plugins in other processes, as the event loop holds them: their state, by whom each is asked, and where they register.

mod registry;
mod settings;
mod wanting;

pub(crate) use registry::{RemoteEvent, serve};
pub(crate) use settings::RemoteSettings;

use crate::manifest::PodSpecification;
use gleaner_model::{ContainerName, PodUid, ResourceName, Timestamp};
use gleaner_qrm_plugins::remote::{Offers, Remote, Verdict};
use gleaner_qrm_plugins::serve::{Client, PluginEvent};
use gleaner_qrm_plugins::{Allocation, ContainerAllocation, Hint, Hints};
use std::collections::BTreeMap;

/// The placement chosen for each container, by resource.
pub(crate) type Chosen = BTreeMap<ContainerName, BTreeMap<ResourceName, Hint>>;

/// What the loop knows of plugins in other processes. Nothing here waits.
#[derive(Default)]
pub(crate) struct RemotePlugins {
    state: Remote,
    clients: BTreeMap<ResourceName, Client>,
    /// Pods that wait for admission, as of the last tick.
    waiting: Vec<PodUid>,
    /// Whether there is a place to register at.
    served: bool,
}

impl RemotePlugins {
    /// With nobody registered yet.
    pub(crate) fn new(settings: &RemoteSettings) -> Self {
        Self { served: settings.is_served(), ..Self::default() }
    }

    /// Takes in which pods wait for admission or, with `true`, were admitted and have not ended, and makes the calls whose time has come. Resources
    /// of pods that are not among them are freed.
    pub(crate) fn tick<'a>(&mut self, pods: impl IntoIterator<Item = (&'a PodSpecification, bool)>, now: Timestamp) {
        let wanting: Vec<_> = pods.into_iter().filter_map(|(spec, admitted)| wanting::of(spec, admitted)).collect();
        self.waiting = wanting.iter().filter(|each| !each.running).map(|each| each.pod.uid.clone()).collect();
        self.state.tick(wanting, now);
        self.make_calls(now);
    }

    /// Takes in what happened with a plugin. True when a waiting pod may have come closer to its admission.
    pub(crate) fn happened(&mut self, event: PluginEvent, now: Timestamp) -> bool {
        let before = self.progress(now);
        match event {
            PluginEvent::Registered { resource, options, client } => {
                tracing::info!(%resource, "a plugin registered");
                self.clients.insert(resource.clone(), client);
                self.state.registered(resource, options, now);
            }
            PluginEvent::Answered { resource, id, answer } => {
                if let Err(fault) = &answer {
                    tracing::debug!(%resource, "{fault}");
                }
                self.state.answered(&resource, id, answer, now);
            }
        }
        self.make_calls(now);
        self.progress(now) != before
    }

    /// Whether a pod that fits otherwise can be admitted as to these resources. `merge` chooses among what the plugins offer; it is asked once all
    /// have said something, and the plugins then give what it chose, which takes until a later tick.
    ///
    /// # Errors
    /// Why the pod has to wait.
    pub(crate) fn admit(
        &mut self,
        pod: &PodUid,
        merge: impl FnOnce(&Offers) -> Result<Chosen, String>,
        now: Timestamp,
    ) -> Result<(), String> {
        match self.state.verdict(pod, now) {
            Verdict::Ready(_) => Ok(()),
            Verdict::Offered(offers) => {
                let chosen = merge(&offers)?;
                self.state.choose(pod, &chosen, now);
                self.make_calls(now);
                Err(self.why(pod, now))
            }
            Verdict::Waiting(_) | Verdict::Refused(_) => Err(self.why(pod, now)),
        }
    }

    /// The variables that a container's processes are to have beside those of its manifest, which go before these; `None`: not known yet, so the
    /// container cannot start.
    pub(crate) fn envs(&self, pod: &PodUid, container: &ContainerName) -> Option<BTreeMap<String, String>> {
        self.given(pod, container).map(|given| given.into_values().flat_map(|allocation| allocation.envs).collect())
    }

    /// How each plugin does, by the name of the part.
    pub(crate) fn health(&self, now: Timestamp) -> Vec<(String, Option<String>)> {
        let wanted = |(resource, problem): (ResourceName, _)| (format!("plugin {resource}"), problem);
        self.state.health(now).into_iter().map(wanted).collect()
    }

    /// Where what a pod wants could come from. What it was given already comes from where it was given.
    pub(crate) fn offers(&self, pod: &PodUid, now: Timestamp) -> Offers {
        match self.state.verdict(pod, now) {
            Verdict::Offered(offers) => offers,
            Verdict::Ready(given) => given.into_iter().map(|(container, by)| (container, placements(by))).collect(),
            Verdict::Waiting(_) | Verdict::Refused(_) => Offers::new(),
        }
    }

    fn given(&self, pod: &PodUid, container: &ContainerName) -> Option<ContainerAllocation> {
        self.state.given(pod, container)
    }

    fn why(&self, pod: &PodUid, now: Timestamp) -> String {
        match self.state.verdict(pod, now) {
            Verdict::Waiting(why) if !self.served => format!("{why}, and cannot be, since plugins.registryDir is empty"),
            Verdict::Waiting(why) | Verdict::Refused(why) => why,
            Verdict::Offered(_) | Verdict::Ready(_) => "its resources are looked at again".to_owned(),
        }
    }

    fn make_calls(&mut self, now: Timestamp) {
        for call in self.state.calls(now) {
            let (resource, id) = (call.resource.clone(), call.id);
            let made = self.clients.get(&resource).map(|client| client.call(call));
            if let Some(Err(fault)) = made {
                self.state.answered(&resource, id, Err(fault), now);
            }
        }
    }

    /// Which waiting pods have a choice, and which have everything (`true`).
    fn progress(&self, now: Timestamp) -> BTreeMap<PodUid, bool> {
        let far = |pod: &PodUid| match self.state.verdict(pod, now) {
            Verdict::Ready(_) => Some(true),
            Verdict::Offered(_) => Some(false),
            Verdict::Waiting(_) | Verdict::Refused(_) => None,
        };
        self.waiting.iter().filter_map(|pod| Some((pod.clone(), far(pod)?))).collect()
    }
}

/// The placements that allocations were made with.
fn placements(given: ContainerAllocation) -> BTreeMap<ResourceName, Hints> {
    let placed = |(name, allocation): (String, Allocation)| {
        let hint = allocation.hint.filter(|hint| hint.nodes.is_some())?;
        Some((name.parse().ok()?, Hints::List(vec![Hint { preferred: true, ..hint }])))
    };
    given.into_iter().filter_map(placed).collect()
}

#[cfg(test)]
mod tests;
