//! What the kubelet of a stock node does by itself: it is taken as given.

use super::Engine;
use crate::kubelet::{Exclusive, KubeletEvent, KubeletPart};
use crate::kubernetes::EventReason;
use gleaner_host::state::read_text;
use gleaner_model::{CpuSet, Reason, Subject, Timestamp};
use std::collections::BTreeMap;

impl Engine {
    /// Takes what was learnt of the kubelet.
    pub(super) fn kubelet_does(&mut self, event: KubeletEvent, now: Timestamp) {
        match event {
            KubeletEvent::Exclusive(exclusive) => {
                self.note(KubeletPart::CpuManager.to_string(), None, now);
                self.exclusive_cpus(exclusive, now);
            }
            KubeletEvent::Absent(KubeletPart::CpuManager) => {
                self.exclusive_cpus(Exclusive::default(), now);
            }
            KubeletEvent::Problem(part, problem) => self.note(part.to_string(), problem, now),
            KubeletEvent::Config(config) => {
                self.note(KubeletPart::Config.to_string(), None, now);
                tracing::info!(
                    driver = ?config.cgroup_driver,
                    cpu_manager = config.cpu_manager_policy,
                    memory_manager = config.memory_manager_policy,
                    topology_manager = config.topology_manager_policy,
                    "kubelet's configuration"
                );
                if config.memory_qos {
                    let what = "kubelet's feature gate MemoryQoS is on: it writes memory.high too, and is put right with the next look at all knobs";
                    self.recorder.record(now, Subject::Node, Reason::Lifecycle { what: what.to_owned() });
                }
            }
            KubeletEvent::Pinned(_) | KubeletEvent::Absent(_) => {}
        }
    }

    /// While the static policy runs, its checkpoint is read before the runtime is answered: kubelet writes it just before it asks the runtime. A small file,
    /// which is in memory then.
    /// True when it gave something else than was known.
    pub(super) fn look_at_exclusive(&mut self, now: Timestamp) -> bool {
        if !self.stock.as_ref().is_some_and(|stock| stock.static_policy) {
            return false;
        }
        let file = self.config.kubernetes.kubelet_dir.join("cpu_manager_state");
        // What cannot be read is told by the look at the file that comes every few seconds.
        let read = read_text(&file, LARGEST).ok().and_then(|text| Exclusive::parse(&text).ok());
        read.is_some_and(|exclusive| self.exclusive_cpus(exclusive, now))
    }

    /// The static CPU manager gives CPUs to containers alone: nobody else is placed on them, and they are never written.
    fn exclusive_cpus(&mut self, exclusive: Exclusive, now: Timestamp) -> bool {
        let is_static = exclusive.policy == "static";
        let (qos, runtime_asks) = (&self.config.qos, self.config.mode == crate::config::Mode::Nri);
        let Some(stock) = &mut self.stock else { return false };
        let pods = exclusive.by_pod.keys().chain(exclusive.whole_pods.keys());
        let by_pod: BTreeMap<_, CpuSet> =
            pods.map(|uid| (uid.clone(), exclusive.of_pod(uid))).filter(|(_, cpus)| !cpus.is_empty()).collect();
        let news = std::mem::replace(&mut stock.static_policy, is_static) != is_static;
        let changed = stock.set_exclusive(by_pod, qos) || news;
        if changed {
            self.pods_are_others(now);
        }
        if news && is_static {
            let others = if runtime_asks {
                "the CPUs of all other containers stay Gleaner's"
            } else {
                "without NRI the CPUs of other containers are kubelet's too"
            };
            let what =
                format!("kubelet's static CPU manager is active: CPUs that it gives to containers alone are taken as given, {others}");
            self.tell_of_node(EventReason::KubeletManagesCPUs, what.clone());
            self.recorder.record(now, Subject::Node, Reason::Lifecycle { what });
        }
        changed
    }
}

/// A checkpoint above this size is none.
const LARGEST: u64 = 4 << 20;
