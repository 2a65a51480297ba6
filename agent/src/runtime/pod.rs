//! One pod: its phase, its containers in order, its cgroups.

use super::birth;
use super::container::{RunningContainer, State};
use super::phase::Phase;
use super::{Happening, restart::Exit};
use crate::manifest::PodSpecification;
use gleaner_eviction::{Action, Phase as Step, Termination};
use gleaner_host::arbiter::Arbiter;
use gleaner_host::cgroup::{Controller, Layout};
use gleaner_host::{HostError, process};
use gleaner_model::{CgroupPath, Container, ContainerName, Reason, Timestamp};
use gleaner_qrm_plugins::PodCgroups;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// That a pod is being ended.
struct Ending {
    termination: Termination,
    step: Step,
    destination: Destination,
}

/// Where a pod goes when its processes have ended.
#[derive(Debug, Clone)]
enum Destination {
    Forgotten,
    Phase(Phase),
}

/// One pod of the manifests, or one that still has to end.
pub(crate) struct RunningPod {
    spec: Arc<PodSpecification>,
    phase: Phase,
    cgroups: PodCgroups,
    containers: Vec<RunningContainer>,
    ending: Option<Ending>,
    forgotten: bool,
    /// Whether containers may start.
    released: bool,
}

impl RunningPod {
    pub(super) fn new(spec: Arc<PodSpecification>, cgroup: CgroupPath) -> Self {
        let containers: Vec<RunningContainer> = spec
            .runs
            .iter()
            // A container's name is a legal name of a cgroup, so joining cannot fail.
            .filter_map(|run| {
                let wants = |c: &Container| c.name == run.name && !c.extended.is_empty();
                let variables = (!spec.pod.containers.iter().any(wants)).then(BTreeMap::new);
                cgroup.join(run.name.as_str()).ok().map(|path| RunningContainer::new(run.clone(), path, variables))
            })
            .collect();
        let by_name = containers.iter().map(|c| (c.run.name.clone(), c.cgroup.clone())).collect();
        let cgroups = PodCgroups { pod: cgroup, containers: by_name };
        let phase = Phase::Pending { why: "not looked at yet".to_owned() };
        Self { spec, phase, cgroups, containers, ending: None, forgotten: false, released: false }
    }

    pub(crate) fn spec(&self) -> &PodSpecification {
        &self.spec
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn cgroups(&self) -> &PodCgroups {
        &self.cgroups
    }

    /// Restarts of all containers since the pod began.
    pub(crate) fn restarts(&self) -> u32 {
        self.containers.iter().map(|c| c.restarts).sum()
    }

    /// What is wrong with containers that wait to be started again, or that were.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        let lines: Vec<String> = self.containers.iter().filter_map(|c| c.trouble(now)).collect();
        (self.phase == Phase::Running && !lines.is_empty()).then(|| lines.join("; "))
    }

    /// Whether it was admitted and has not ended.
    pub(crate) fn holds_resources(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Ending { .. })
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) fn asks_for_admission(&self, now: Timestamp) -> bool {
        match &self.phase {
            Phase::Pending { .. } => true,
            Phase::Evicted { back, .. } => now >= *back,
            _ => false,
        }
    }

    pub(super) fn keep_waiting(&mut self, why: &str) -> bool {
        // What comes before a colon says which rule stops the pod; the numbers after it change with every tick.
        let rule = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        let news = !matches!(&self.phase, Phase::Pending { why: old } if rule(old) == rule(why));
        self.phase = Phase::Pending { why: why.to_owned() };
        news
    }

    /// Ends containers whose first process left their cgroup.
    pub(super) fn end_escaped(&self, layout: &Layout, now: Timestamp, happenings: &mut Vec<Happening>) {
        for container in self.containers.iter().filter(|c| self.holds_resources() && c.end_if_escaped(layout, now)) {
            let what = format!("container {} left its cgroup, where it could run on CPUs of others; it is killed", container.run.name);
            happenings.push((self.spec.pod.name.clone(), Reason::Lifecycle { what }));
        }
    }

    /// Whether a container that waits to be started has lost its cgroup.
    pub(super) fn lacks_cgroups(&self, layout: &Layout) -> bool {
        let controllers = [Controller::Cpu, Controller::Cpuset, Controller::Memory];
        let lost = |cgroup: &CgroupPath| controllers.iter().any(|c| layout.dir(*c, cgroup).is_some_and(|dir| !dir.exists()));
        let waits = |c: &&RunningContainer| matches!(c.state, State::Waiting { .. });
        self.phase == Phase::Running && self.containers.iter().filter(waits).any(|c| lost(&c.cgroup))
    }

    pub(super) fn create_cgroups(&mut self, arbiter: &mut Arbiter) -> Result<(), HostError> {
        let pod = &self.spec.pod;
        arbiter.create(&self.cgroups.pod, &birth::pod_values(pod))?;
        for described in &pod.containers {
            if let Some(cgroup) = self.cgroups.containers.get(&described.name) {
                arbiter.create(cgroup, &birth::container_values(described))?;
            }
        }
        Ok(())
    }

    /// True when nothing of the pod is left in the tree.
    pub(super) fn remove_cgroups(&self, arbiter: &mut Arbiter) -> bool {
        let gone = self.containers.iter().filter(|c| arbiter.remove(&c.cgroup).is_err()).count() == 0;
        gone && arbiter.remove(&self.cgroups.pod).is_ok()
    }

    pub(super) fn release(&mut self) {
        self.released |= self.holds_resources();
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.phase = Phase::Running;
        self.released = false;
        for container in &mut self.containers {
            container.state = State::Waiting { until: now };
            container.restarts = 0;
        }
    }

    /// Takes over running containers from an earlier agent. Init containers before a running one must have ended well.
    pub(super) fn adopt(&mut self, layout: &Layout, now: Timestamp, happenings: &mut Vec<Happening>) {
        self.phase = Phase::Running;
        let mut later_runs = false;
        for container in self.containers.iter_mut().rev() {
            if process::populated(layout, &container.cgroup).unwrap_or(false) {
                container.state = State::Running { child: None, since: now };
                later_runs |= !container.run.init;
            } else if later_runs && container.run.init {
                container.state = State::Ended { exit: Exit::Code(0) };
            }
        }
        happenings.push((self.spec.pod.name.clone(), Reason::Lifecycle { what: "taken over from an earlier agent".to_owned() }));
    }

    /// Starts ending the pod for good.
    pub(super) fn leave(&mut self, now: Timestamp, why: &str) {
        if self.holds_resources() && !matches!(self.ending, Some(Ending { destination: Destination::Forgotten, .. })) {
            let grace = self.spec.pod.grace;
            self.end(now, grace, why, Destination::Forgotten);
        }
    }

    pub(super) fn evict(&mut self, now: Timestamp, grace: Duration, why: &Reason, back: Timestamp) {
        let why = why.to_string();
        self.end(now, grace, &why, Destination::Phase(Phase::Evicted { why: why.clone(), back }));
    }

    /// Takes the rest of its grace away.
    pub(super) fn kill(&mut self, now: Timestamp) {
        if let Some(ending) = &mut self.ending {
            ending.termination = Termination { asked_at: now, grace: Duration::ZERO };
        }
    }

    fn end(&mut self, now: Timestamp, grace: Duration, why: &str, destination: Destination) {
        // A pod that is ending already keeps its first deadline, wherever it goes afterwards.
        let fresh = || (Termination { asked_at: now, grace }, Step::default());
        let (termination, step) = self.ending.take().map_or_else(fresh, |ending| (ending.termination, ending.step));
        self.ending = Some(Ending { termination, step, destination });
        self.phase = Phase::Ending { why: why.to_owned() };
    }

    pub(super) fn advance(&mut self, layout: &Layout, logs: &Path, arbiter: &mut Arbiter, now: Timestamp, happenings: &mut Vec<Happening>) {
        if !self.holds_resources() {
            return;
        }
        self.notice_ends(layout, logs, now, happenings);
        if self.ending.is_some() {
            self.advance_ending(layout, arbiter, now, happenings);
        } else {
            if self.released {
                self.start_ready(logs, now, happenings);
            }
            self.finish_if_done(now);
        }
    }

    /// Containers that cannot start before their variables are known.
    pub(super) fn lacking_variables(&self) -> impl Iterator<Item = &ContainerName> {
        let lacking = self.containers.iter().filter(|c| self.holds_resources() && c.variables.is_none());
        lacking.map(|container| &container.run.name)
    }

    pub(super) fn set_variables(&mut self, container: &ContainerName, variables: BTreeMap<String, String>) {
        if let Some(container) = self.containers.iter_mut().find(|c| c.run.name == *container) {
            container.variables = Some(variables);
        }
    }

    pub(super) fn bound_logs(&self, logs: &Path) {
        if self.holds_resources() {
            self.containers.iter().for_each(|container| container.bound_log(logs, &self.spec.pod.name));
        }
    }

    fn notice_ends(&mut self, layout: &Layout, logs: &Path, now: Timestamp, happenings: &mut Vec<Happening>) {
        let stay = self.ending.is_some();
        for container in &mut self.containers {
            let Some(exit) = container.ended(layout) else { continue };
            let what = container.describe(exit, logs, &self.spec.pod.name);
            container.last_end = Some(what.clone());
            happenings.push((self.spec.pod.name.clone(), Reason::Lifecycle { what }));
            container.settle(exit, stay, now);
        }
    }

    fn start_ready(&mut self, logs: &Path, now: Timestamp, happenings: &mut Vec<Happening>) {
        for container in &mut self.containers {
            if container.variables.is_some() && matches!(container.state, State::Waiting { until } if now >= until) {
                let what = match container.start(logs, &self.spec.pod.name, now) {
                    Ok(()) => format!("container {} started", container.run.name),
                    Err(cause) => {
                        container.last_end = Some(format!("container {}: {cause}", container.run.name));
                        container.settle(Exit::Unknown, false, now);
                        format!("container {}: {cause}", container.run.name)
                    }
                };
                happenings.push((self.spec.pod.name.clone(), Reason::Lifecycle { what }));
            }
            if !container.lets_others_start() {
                break;
            }
        }
    }

    /// A pod is done when its main containers stay ended, or an init container failed for good; sidecars then go too.
    fn finish_if_done(&mut self, now: Timestamp) {
        let exit = |c: &RunningContainer| if let State::Ended { exit } = c.state { Some(exit) } else { None };
        let failed_init = self.containers.iter().filter(|c| c.run.init).find_map(|c| exit(c).filter(|e| !e.success()).map(|e| (c, e)));
        let mains: Option<Vec<_>> = self.containers.iter().filter(|c| !c.run.init).map(|c| exit(c).map(|e| (c, e))).collect();
        let failed = |(c, e): (&RunningContainer, Exit)| Phase::Failed { why: format!("container {} {e}", c.run.name) };
        let end = match (failed_init, mains) {
            (Some(init), _) => failed(init),
            (None, Some(mains)) => mains.into_iter().find(|(_, e)| !e.success()).map_or(Phase::Succeeded, failed),
            (None, None) => return,
        };
        let why = end.why().unwrap_or("all containers ended").to_owned();
        let grace = self.spec.pod.grace;
        self.end(now, grace, &why, Destination::Phase(end));
    }

    fn advance_ending(&mut self, layout: &Layout, arbiter: &mut Arbiter, now: Timestamp, happenings: &mut Vec<Happening>) {
        let Some(ending) = &mut self.ending else { return };
        let inside = process::pids_below(layout, &self.cgroups.pod).unwrap_or_default();
        // A container that is just being started has not joined its cgroup, and one that left it is not there either.
        let outside: Vec<Pid> = self.containers.iter().filter_map(RunningContainer::child).filter(|pid| !inside.contains(pid)).collect();
        let alive = !inside.is_empty() || !outside.is_empty();
        if alive && ending.step == Step::Done {
            // Something came after the last look; it had its chance.
            (ending.termination.grace, ending.step) = (Duration::ZERO, Step::Asked);
        }
        let (step, action) = ending.termination.step(ending.step, now, alive);
        ending.step = step;
        let send = |signal| {
            for pid in &outside {
                // One that ended meanwhile needs no signal.
                let _ = kill(*pid, signal);
            }
        };
        let result = match action {
            Some(Action::Terminate) => {
                send(Signal::SIGTERM);
                if inside.is_empty() { Ok(()) } else { process::signal(layout, &self.cgroups.pod, Signal::SIGTERM).map(|_| ()) }
            }
            Some(Action::Kill) => {
                send(Signal::SIGKILL);
                kill_aside(layout, &self.cgroups.pod)
            }
            None => Ok(()),
        };
        if let Err(error) = result {
            happenings.push((self.spec.pod.name.clone(), Reason::Lifecycle { what: format!("cannot be ended yet: {error}") }));
        }
        if alive {
            return;
        }
        let destination = ending.destination.clone();
        // The kernel may keep a cgroup busy for a moment after its last process; it is tried again at the next tick.
        if !self.remove_cgroups(arbiter) {
            return;
        }
        self.ending = None;
        match destination {
            Destination::Forgotten => self.forgotten = true,
            Destination::Phase(phase) => self.phase = phase,
        }
        happenings.push((self.spec.pod.name.clone(), Reason::Lifecycle { what: "ended, its cgroups are removed".to_owned() }));
    }
}

/// Kills on a thread of its own, since processes that the kernel does not let go at once are waited for; what is left is met again at the next kill.
fn kill_aside(layout: &Layout, cgroup: &CgroupPath) -> Result<(), HostError> {
    let (layout, killed) = (layout.clone(), cgroup.clone());
    let started = std::thread::Builder::new().name("kill".to_owned()).spawn(move || process::kill(&layout, &killed));
    started.map(|_| ()).map_err(|e| HostError::Library { what: "start a thread", cause: e.to_string() })
}
