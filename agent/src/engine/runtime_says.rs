//! What the container runtime tells and asks. Every answer comes from memory: placing a newcomer and storing its promise is all that it waits for.

use super::Engine;
use gleaner_model::{CgroupPath, ContainerName, KnobId, KnobValue, Plan, PodUid, Timestamp};
use gleaner_nri::{Adjustment, Event, Sandbox, SeenContainer, Synchronized, Update};
use gleaner_qrm_plugins::{PodCgroups, Supply, knobs};
use std::collections::{BTreeMap, BTreeSet};

/// Containers that are corrected by the runtime after a synchronisation, at most: each that runs costs it a process of its own while it holds its
/// locks, and the rest is as well written directly.
const CORRECTIONS: usize = 32;

impl Engine {
    /// Handles what the runtime says. Who asked and went away is nobody to answer.
    pub(super) fn runtime_says(&mut self, event: Event, now: Timestamp) {
        let Some(stock) = &mut self.stock else { return };
        let qos = &self.config.qos;
        match event {
            Event::Connected(runtime) => {
                tracing::info!(runtime = runtime.name, version = runtime.version, "connected to the container runtime");
                stock.runtime = Some(runtime);
                self.note("nri", None, now);
            }
            Event::Lost(cause) => {
                stock.runtime = None;
                self.note("nri", Some(format!("{cause}; containers get their CPUs soon after they start instead of before")), now);
            }
            Event::Synchronize(seen, answer) => drop(answer.send(Ok(self.synchronize(&seen, now)))),
            Event::PodStarted(sandbox) => {
                if stock.see_pod(sandbox, qos) {
                    self.pods_are_others(now);
                }
            }
            Event::PodGone { sandbox, .. } => {
                if stock.sandbox_gone(&sandbox, qos) {
                    self.pods_are_others(now);
                }
            }
            Event::CreateContainer(pod, container, answer) => drop(answer.send(self.create_container(pod, container, now))),
            Event::StartContainer(pod, container, answer) => {
                self.start_container(pod, container, now);
                drop(answer.send(Ok(())));
            }
            Event::UpdateContainer { pod, container, wants: _, answer } => {
                self.look_at_exclusive(now);
                let wanted = self.wanted_of(&pod, &container);
                drop(answer.send(Ok((!wanted.knobs.is_empty()).then_some(wanted))));
            }
            Event::Updated(pod, container) => self.write_again(pod, container, now),
            Event::ContainerGone { container } => stock.container_gone(&container),
        }
    }

    /// Adopts what runs. The runtime is asked to correct what it would otherwise write again with its next update; the rest is written directly.
    fn synchronize(&mut self, seen: &Synchronized, now: Timestamp) -> Vec<Update> {
        let Some(stock) = &mut self.stock else { return Vec::new() };
        let news = stock.synchronize(seen, &self.config.qos);
        if news {
            self.pods_are_others(now);
        }
        if self.settling || self.config.shadow {
            return Vec::new();
        }
        self.place_stock(now);
        let pods: BTreeMap<&str, &Sandbox> = seen.pods.iter().map(|pod| (pod.id.as_str(), pod)).collect();
        let known = || seen.containers.iter().filter_map(|container| Some((*pods.get(container.sandbox.as_str())?, container)));
        let plan = self.plan_of(known());
        // A runtime that holds no set of its own for a container writes none.
        let stale = |container: &SeenContainer, knobs: &[KnobValue]| {
            let old = container.resources.cpus.as_ref();
            knobs.iter().any(|knob| matches!(knob, KnobValue::Cpus(cpus) if old.is_some_and(|old| old != cpus)))
        };
        let update = |container: &SeenContainer| {
            let knobs = values(&plan, container.cgroup.as_ref()?);
            stale(container, &knobs).then(|| Update { container: container.id.clone(), adjustment: Adjustment { knobs } })
        };
        known().filter_map(|(_, container)| update(container)).take(CORRECTIONS).collect()
    }

    /// What a container is to be created with.
    ///
    /// # Errors
    /// Why its pod cannot have what it asks for; the container is not created, and kubelet tries again.
    fn create_container(&mut self, pod: Sandbox, container: SeenContainer, now: Timestamp) -> Result<Adjustment, String> {
        let mut news = self.look_at_exclusive(now);
        let Some(stock) = self.stock.as_mut().filter(|stock| stock.is_ours(&pod)) else { return Ok(Adjustment::default()) };
        let before = self.ledger.assignment().members.contains_key(&pod.uid);
        news |= stock.see_pod(pod.clone(), &self.config.qos);
        news |= stock.see_container(container.clone(), &self.config.qos);
        let again = stock.lowered.contains_key(&pod.uid);
        if news || again || !before {
            self.settled = None;
            self.place_stock(now);
            // Others leave what they lose before the newcomer's first process runs.
            self.pods_are_others(now);
        }
        self.save_promises(now);
        if self.config.shadow {
            return Ok(Adjustment::default());
        }
        match self.stock.as_ref().and_then(|stock| stock.lowered.get(&pod.uid)) {
            Some(cause) => Err(format!("gleaner: {cause}")),
            None => Ok(self.wanted_of(&pod, &container)),
        }
    }

    /// The container's first process waits in its cgroup: what the runtime could not set is written now, and others leave its CPUs.
    fn start_container(&mut self, pod: Sandbox, container: SeenContainer, now: Timestamp) {
        let Some(stock) = &mut self.stock else { return };
        stock.see_pod(pod, &self.config.qos);
        stock.see_container(SeenContainer { running: true, ..container }, &self.config.qos);
        self.planned = None;
        if !self.settling {
            self.place_and_write(now);
        }
    }

    /// The runtime has written all files of a container that its specification has a value for.
    fn write_again(&mut self, pod: Sandbox, container: SeenContainer, now: Timestamp) {
        let Some(stock) = &mut self.stock else { return };
        let cgroup = container.cgroup.clone();
        stock.see_pod(pod, &self.config.qos);
        stock.see_container(container, &self.config.qos);
        let Some(cgroup) = cgroup.filter(|_| !self.settling && !self.config.shadow) else { return };
        let again: BTreeSet<KnobId> = self.plan.of_cgroup(&cgroup).map(|(id, _)| id.clone()).collect();
        if !again.is_empty() {
            let outcomes = self.arbiter.apply(&self.plan.since(&self.plan, &again));
            self.record_outcomes(outcomes, now);
        }
    }

    /// What one container is to have of what a runtime can set.
    fn wanted_of(&self, pod: &Sandbox, container: &SeenContainer) -> Adjustment {
        let ours = self.stock.as_ref().is_some_and(|stock| stock.is_ours(pod));
        let inside = |own: &&CgroupPath| pod.cgroup.as_ref().is_none_or(|pod| *own != pod && own.is_within(pod));
        let Some(own) = container.cgroup.as_ref().filter(inside).filter(|_| ours && !self.config.shadow) else {
            return Adjustment::default();
        };
        Adjustment { knobs: values(&self.plan_of(std::iter::once((pod, container))), own) }
    }

    /// The plan for containers that the kernel may not know yet.
    fn plan_of<'a>(&self, containers: impl Iterator<Item = (&'a Sandbox, &'a SeenContainer)>) -> Plan {
        let mut cgroups: BTreeMap<PodUid, PodCgroups> = BTreeMap::new();
        for (pod, container) in containers {
            let Some(own) = &container.cgroup else { continue };
            let (Some(root), Ok(id)) = (pod.cgroup.clone().or_else(|| own.parent()), container.id.parse::<ContainerName>()) else {
                continue;
            };
            let of_pod = cgroups.entry(pod.uid.clone()).or_insert_with(|| PodCgroups { pod: root, containers: BTreeMap::new() });
            of_pod.containers.insert(id, own.clone());
        }
        let (live, scores) = (self.live(), BTreeMap::new());
        let policy = self.knob_policy();
        let mut plan = knobs(&self.topology, &live, &cgroups, self.ledger.assignment(), &Supply::default(), &scores, &policy);
        self.leave_to_kubelet(&mut plan);
        plan
    }
}

fn values(plan: &Plan, cgroup: &CgroupPath) -> Vec<KnobValue> {
    plan.of_cgroup(cgroup).map(|(_, desired)| desired.value.clone()).collect()
}
