//! Memory nodes that change a part in every tick, so that not all memory of the node moves at once.

use super::Engine;
use gleaner_model::{CgroupPath, Plan, PodReadings, PodUid, Snapshot};
use gleaner_qrm_plugins::{Resident, pace_mems};
use std::collections::BTreeMap;

impl Engine {
    /// Whether a container waits for its turn to move, or a pod's memory bounds are on their way down.
    pub(super) fn memory_waits(&self) -> bool {
        self.taking.waits() || self.mems.values().any(|held| held.waited > 0)
    }

    /// The plan of this tick on the way to the goal. What is noted of the containers is what they have once it is applied. A container that
    /// is new to this agent goes where it belongs at once: it holds nothing yet, or the agent was restarted and it is there already.
    pub(super) fn next_plan(&mut self, snapshot: &Snapshot) -> Plan {
        let resident = self.resident(&snapshot.readings);
        let (plan, mems) = pace_mems(&self.goal, &self.mems, &resident, self.config.knobs.migration_per_tick);
        self.mems = mems;
        self.bound_memory(plan, snapshot)
    }

    /// What containers hold, as far as it was measured. On which node it is is not.
    fn resident(&self, readings: &BTreeMap<PodUid, PodReadings>) -> BTreeMap<CgroupPath, Resident> {
        let mut resident = BTreeMap::new();
        for (uid, cgroups) in self.pod_cgroups() {
            let Some(measured) = readings.get(&uid) else { continue };
            for (name, cgroup) in cgroups.containers {
                let memory = measured.containers.get(&name).and_then(|container| container.memory.value());
                resident.extend(memory.map(|memory| (cgroup, Resident::Total(memory.usage))));
            }
        }
        resident
    }
}
