//! What plugins say of every container is applied again and again.

use super::admit::{Admission, Failed, allocate};
use super::check;
use super::core::{Core, Event};
use super::endpoint::Plugin;
use super::pod::{QrmContainer, QrmPod, Wanted};
use gleaner_crds::resourceplugin::{ContainerType, GetResourcesAllocationRequest, GetResourcesAllocationResponse, ResourceAllocationInfo};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// A value that was brought to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The pod's uid.
    pub pod: String,
    /// The container.
    pub container: String,
    /// The property.
    pub property: String,
    /// What it was; `None` when it had none.
    pub from: Option<String>,
    /// What it is now.
    pub to: String,
}

/// Reconciles in a rhythm until told to stop.
pub(super) fn run(core: &Core, period: Duration, stop: &Receiver<()>) {
    while stop.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
        reconcile(core);
    }
}

/// Asks, takes in, applies. What fails is noted, and tried again the next time.
pub(super) fn reconcile(core: &Core) -> Vec<Change> {
    // Before the plugins are asked: a pod admitted meanwhile is in no answer, and not forgotten by anybody.
    let active: Vec<Admission> = core.pods.lock().unwrap().values().cloned().collect();
    let mut answers = Vec::new();
    for plugin in core.plugins().into_iter().filter(|plugin| plugin.options.need_reconcile) {
        match plugin.call::<_, GetResourcesAllocationResponse>("GetResourcesAllocation", &GetResourcesAllocationRequest {}) {
            Ok(answer) => answers.push((plugin, answer)),
            Err(status) => core.trouble(status),
        }
    }
    let mut changes = Vec::new();
    for admission in active {
        for (index, container) in admission.pod.in_order().filter(|(_, container)| container.kind != ContainerType::Init) {
            let place = Place { core, admission: &admission, index, container };
            for (plugin, answer) in &answers {
                if let Some(fresh) = place.fresh(plugin, answer) {
                    place.take(fresh);
                }
            }
        }
        changes.extend(apply(core, &admission.pod));
    }
    changes
}

/// A container to bring up to date.
struct Place<'a> {
    core: &'a Core,
    admission: &'a Admission,
    index: u64,
    container: &'a QrmContainer,
}

type Allocations = BTreeMap<String, ResourceAllocationInfo>;

impl Place<'_> {
    /// What the plugin holds for the container; `None` when that is none of its business, or wrong.
    fn fresh(&self, plugin: &Arc<Plugin>, answer: &GetResourcesAllocationResponse) -> Option<Allocations> {
        let wanted = self.container.wanted().into_iter().find(|wanted| wanted.resource == plugin.resource)?;
        let (uid, name) = (&self.admission.pod.uid, &self.container.name);
        let held = answer.pod_resources.get(uid).and_then(|pod| pod.container_resources.get(name));
        let Some(held) = held else { return self.again(plugin, &wanted) };
        let wrong = held.resource_allocation.iter().find_map(|(resource, info)| check::info(resource, info).err());
        match wrong {
            Some(wrong) => {
                self.core.trouble(format!("GetResourcesAllocation of {}: pod {uid}, container {name}: {wrong}", plugin.resource));
                None
            }
            None => Some(held.resource_allocation.clone()),
        }
    }

    fn again(&self, plugin: &Arc<Plugin>, wanted: &Wanted) -> Option<Allocations> {
        let (pod, container) = (&self.admission.pod, &self.container.name);
        if !self.core.pods.lock().unwrap().contains_key(&pod.uid) {
            return None;
        }
        let hint = self.admission.admitted.containers.iter().find(|each| each.name == *container).map(|each| each.hint.clone());
        match allocate(plugin, &pod.request(self.index, self.container, wanted, hint)) {
            Ok(fresh) => {
                let event = Event::Reallocated { pod: pod.uid.clone(), container: container.clone(), resource: plugin.resource.clone() };
                self.core.change(|registry| registry.events.push(event));
                Some(fresh)
            }
            Err(Failed::Call(status)) => {
                self.core.trouble(status);
                None
            }
            Err(Failed::Answer(wrong)) => {
                self.core.trouble(format!("Allocate of {}: {wrong}", plugin.resource));
                None
            }
        }
    }

    /// Remembers it, unless the pod is gone by now.
    fn take(&self, fresh: Allocations) {
        let mut pods = self.core.pods.lock().unwrap();
        let admitted = pods.get_mut(&self.admission.pod.uid).map(|admission| &mut admission.admitted.containers);
        let container = admitted.and_then(|containers| containers.iter_mut().find(|each| each.name == self.container.name));
        if let Some(container) = container {
            container.take(fresh);
        }
    }
}

/// Brings to the containers of a pod what they do not have yet.
fn apply(core: &Core, pod: &QrmPod) -> Vec<Change> {
    let due = core.pods.lock().unwrap().get(&pod.uid).map(due).unwrap_or_default();
    let mut done = Vec::new();
    for change in due {
        let applied = (core.apply.lock().unwrap().0)(pod, &change.container, &change.property, &change.to);
        match applied {
            Ok(()) => done.push(change),
            Err(e) => core.trouble(format!("pod {}, container {}, {}: {e}", change.pod, change.container, change.property)),
        }
    }
    if let Some(admission) = core.pods.lock().unwrap().get_mut(&pod.uid) {
        let values = done.iter().map(|change| ((change.container.clone(), change.property.clone()), change.to.clone()));
        admission.applied.extend(values);
    }
    done
}

fn due(admission: &Admission) -> Vec<Change> {
    let mut due = Vec::new();
    for container in &admission.admitted.containers {
        for (property, value) in &container.oci {
            let from = admission.applied.get(&(container.name.clone(), property.clone())).cloned();
            if from.as_ref() != Some(value) {
                due.push(Change {
                    pod: admission.pod.uid.clone(),
                    container: container.name.clone(),
                    property: property.clone(),
                    from,
                    to: value.clone(),
                });
            }
        }
    }
    due
}
