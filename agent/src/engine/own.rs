//! The agent's own container: in front of a kubelet the agent is a pod like others, but for one thing.
//!
//! A container has a cgroup namespace on cgroup v2. Where that is mounted with `nsdelegate`, as systemd does, the kernel refuses writes to the files
//! of the namespace's root from inside (EPERM): nobody raises the limits that others have set. The cgroup around it is not of the namespace.

use super::Engine;
use crate::presence::Presence;
use gleaner_host::cgroup::{Controller, Version};
use gleaner_host::process::{self, Pid};
use gleaner_model::{CgroupPath, Desired, KnobKind, Plan};

impl Engine {
    /// Looks once which of the containers this process runs in.
    pub(super) fn look_for_own(&mut self) {
        let layout = &self.layout;
        let is_ours = |cgroup: &CgroupPath| process::pids(layout, cgroup).is_ok_and(|pids| pids.contains(&Pid::this()));
        match (&mut self.qrm, &mut self.stock) {
            (Some(qrm), _) => qrm.presence.find_own(is_ours),
            (None, Some(stock)) => stock.presence.find_own(is_ours),
            (None, None) => {}
        }
    }

    /// What cannot be written to the own container.
    pub(super) fn go_around_own(&self, plan: &mut Plan) {
        let own = self.presence().and_then(Presence::own);
        if let Some(own) = own.filter(|_| self.layout.version(Controller::Cpuset) == Some(Version::V2)) {
            go_around(plan, own);
        }
    }
}

/// CPUs and memory nodes are set on the pod instead: a container that has no set of its own runs on those. The rest of what the container's own files
/// should hold is dropped.
fn go_around(plan: &mut Plan, own: &CgroupPath) {
    let Some(pod) = own.parent() else { return };
    let is_cpuset = |kind: KnobKind| matches!(kind, KnobKind::CpusetCpus | KnobKind::CpusetMems);
    let moved: Vec<Desired> = plan.of_cgroup(own).filter(|(id, _)| is_cpuset(id.kind)).map(|(_, desired)| desired.clone()).collect();
    plan.retain(|id| id.cgroup != *own || id.kind == KnobKind::OomScoreAdj);
    for Desired { value, owner, reason } in moved {
        plan.set(pod.clone(), value, owner, reason);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use gleaner_model::{Bytes, KnobValue, OomScoreAdj, Reason, Subject};

    #[test]
    fn cpus_of_the_own_container_are_set_on_its_pod() {
        let (pod, own): (CgroupPath, CgroupPath) = ("/kubepods/poda".parse().unwrap(), "/kubepods/poda/agent".parse().unwrap());
        let pause: CgroupPath = "/kubepods/poda/pause".parse().unwrap();
        let mut plan = Plan::new();
        let mut set = |cgroup: &CgroupPath, value| plan.set(cgroup.clone(), value, Subject::Node, Reason::AsRequested);
        let (cpus, mems) = (KnobValue::Cpus("2-7".parse().unwrap()), KnobValue::Mems("0".parse().unwrap()));
        for cgroup in [&own, &pause] {
            set(cgroup, cpus.clone());
        }
        set(&own, mems.clone());
        set(&own, KnobValue::MemoryLow(Bytes::new(1)));
        set(&own, KnobValue::OomScoreAdj(OomScoreAdj::new(-996).unwrap()));
        go_around(&mut plan, &own);
        let left: Vec<String> = plan.iter().map(|(id, desired)| format!("{} {} {}", id.cgroup, id.kind, desired.value)).collect();
        let expected = [
            format!("{pod} cpuset.cpus 2-7"),
            format!("{pod} cpuset.mems 0"),
            format!("{own} oom_score_adj -996"),
            format!("{pause} cpuset.cpus 2-7"),
        ];
        assert_eq!(left, expected);
    }
}
