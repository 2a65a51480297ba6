use super::Remote;
use super::desk::Standing;
use super::share::State;
use crate::{ContainerAllocation, Hints};
use gleaner_model::{ContainerName, PodUid, ResourceName, Timestamp};
use std::collections::BTreeMap;

/// Where each container could be placed, by resource.
pub type Offers = BTreeMap<ContainerName, BTreeMap<ResourceName, Hints>>;

/// What each container was given, by resource.
pub type Given = BTreeMap<ContainerName, ContainerAllocation>;

/// What a pod may expect of plugins in other processes.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Everything it wants was given; nothing when it wants nothing.
    Ready(Given),
    /// Every plugin said where; the caller is to merge and to choose. What was given already has the one placement that it was given with.
    Offered(Offers),
    /// A plugin was not asked yet, or cannot be; with the resource and the cause.
    Waiting(String),
    /// A plugin will not give it as things are, with the resource and its words. It is asked again.
    Refused(String),
}

impl Remote {
    /// What a pod may expect.
    #[must_use]
    pub fn verdict(&self, pod: &PodUid, now: Timestamp) -> Verdict {
        let (mut given, mut offers) = (Given::new(), Offers::new());
        let (mut waiting, mut refused, mut open) = (None, None, false);
        for (resource, desk) in &self.desks {
            for (key, share) in desk.keyed(pod) {
                let mut offer = |hints| drop(offers.entry(share.container.clone()).or_default().insert(resource.clone(), hints));
                let why = |cause: String| format!("resource {resource}: {cause}");
                match desk.standing(key, share, now) {
                    Standing::Given(what) => {
                        given.entry(share.container.clone()).or_default().extend(what.clone());
                        offer(share.hint().map_or(Hints::NoPreference, |hint| Hints::List(vec![hint])));
                    }
                    Standing::Offered(hints) => {
                        offer(hints);
                        open = true;
                    }
                    Standing::Waiting(cause) => drop(waiting.get_or_insert_with(|| why(cause))),
                    Standing::Refused(cause) => drop(refused.get_or_insert_with(|| why(cause))),
                }
            }
        }
        match (refused, waiting) {
            (Some(cause), _) => Verdict::Refused(cause),
            (None, Some(cause)) => Verdict::Waiting(cause),
            (None, None) if open => Verdict::Offered(offers),
            (None, None) => Verdict::Ready(given),
        }
    }

    /// What one container was given so far, over all resources; `None` while something is not known to be given.
    #[must_use]
    pub fn given(&self, pod: &PodUid, container: &ContainerName) -> Option<ContainerAllocation> {
        let mut all = ContainerAllocation::new();
        for share in self.desks.values().flat_map(|desk| desk.of(pod)).filter(|share| share.container == *container) {
            match &share.state {
                State::Given { given, .. } => all.extend(given.clone()),
                State::Unhinted | State::Hinted { .. } | State::Chosen { .. } | State::Unlisted => return None,
            }
        }
        Some(all)
    }
}
