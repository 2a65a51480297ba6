//! What the cluster is told: made at the end of every tick, written by others when it is worth it.

use super::Engine;
use crate::kubernetes::{About, ApiPod, EventNote, EventReason, Lent, Load, NodeReport, PodHolding, event_of};
use gleaner_estimator::Estimate;
use gleaner_host::cgroup;
use gleaner_model::{Bytes, CpuSet, MilliCpu, Pod, PodName, PoolName, QosClass, Subject};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Engine {
    /// Hands over what is to be told. Nothing here waits.
    pub(super) fn tell_cluster(&mut self) {
        self.tell_events();
        let Some(links) = &self.cluster else { return };
        // Before anything is measured nothing is known, which is no reason to take back what an earlier agent told.
        if self.settling || self.estimate.is_none() {
            return;
        }
        let report = self.node_report();
        links.report.send_if_modified(|told| {
            let news = told.as_deref() != Some(&report);
            if news {
                *told = Some(Arc::new(report));
            }
            news
        });
    }

    fn tell_events(&mut self) {
        let untold = self.recorder.take_untold();
        let Some(links) = &self.cluster else { return };
        for decision in untold {
            let Some((kind, reason, note)) = event_of(&decision.reason) else { continue };
            let about = match &decision.subject {
                Subject::Node => About::Node,
                Subject::Pod(name) => match self.about(name) {
                    Some(about) => about,
                    None => continue,
                },
                Subject::Pool(_) => continue,
            };
            links.events.tell(EventNote { about, kind, reason, note });
        }
    }

    /// The pod of this name. What an enhanced kubelet tells of has one uid.
    pub(super) fn about(&self, name: &PodName) -> Option<About> {
        if let Some(record) = self.stock.as_ref().and_then(|stock| stock.named(name)) {
            return Some(about_record(record));
        }
        let pod = self.kubelets_pods()?.values().find(|pod| pod.name == *name)?;
        Some(About::Pod { name: name.clone(), api_uid: pod.uid.to_string() })
    }

    /// Tells of a pod what is no decision.
    pub(super) fn tell_of_pod(&self, pod: &ApiPod, reason: EventReason, note: String) {
        self.tell(about_record(pod), reason, note);
    }

    /// The same of the node.
    pub(super) fn tell_of_node(&self, reason: EventReason, note: String) {
        self.tell(About::Node, reason, note);
    }

    fn tell(&self, about: About, reason: EventReason, note: String) {
        if let Some(links) = &self.cluster {
            links.events.tell(EventNote { about, kind: reason.kind(), reason: reason.as_str(), note });
        }
    }

    fn node_report(&self) -> NodeReport {
        let assignment = self.ledger.assignment();
        let kept = [PoolName::reserve(), PoolName::interrupt()].map(|pool| assignment.cpus_of(&pool));
        let pods = self.kubelets_pods().into_iter().flatten().map(|(_, pod)| self.holding(pod)).collect();
        let problems = self.health.parts().into_iter().filter_map(|(part, health)| Some((part, health.problem?))).collect();
        NodeReport {
            lent: self.estimate.as_ref().filter(|_| !self.stopping).and_then(|estimate| self.lent(estimate)),
            topology: Arc::clone(&self.topology),
            reserved: kept.iter().fold(CpuSet::new(), |all, cpus| all.union(cpus)),
            memory: self.inventory.total_memory,
            memory_reserve: self.config.estimator.memory_reserve,
            pods,
            load: Load { memory_short: self.eviction.memory_short(), cpu_suppressed: self.eviction.cpu_suppressed() },
            problems,
            configuration_refused: self.configuration_refused.clone(),
            shadow: self.config.shadow,
            alignment: self.config.topology.clone(),
            attributes: self.attributes(),
        }
    }

    /// What can be lent; `None` where something that it follows from is not known.
    fn lent(&self, estimate: &Estimate) -> Option<Lent> {
        let (cpu, memory) = (estimate.known_cpu()?, estimate.known_memory()?);
        let by_node = super::headroom::by_node(estimate, &self.topology).unwrap_or_default();
        let by_node = by_node.into_iter().map(|(node, share)| (node, (share.cpu, share.memory))).collect();
        Some(Lent { cpu, memory, by_node })
    }

    fn holding(&self, pod: &Pod) -> PodHolding {
        let assignment = self.ledger.assignment();
        let own = assignment.pool_of(&pod.uid).filter(|(name, _)| name.is_dedicated()).map(|(_, pool)| pool.cpus.clone());
        let record = self.stock.as_ref().and_then(|stock| stock.record(&pod.uid));
        let reclaimed = pod.class() == QosClass::Reclaimed;
        PodHolding {
            name: pod.name.clone(),
            // What only the runtime or an enhanced kubelet has told of has one uid.
            api_uid: record.map_or_else(|| pod.uid.to_string(), |record| record.api_uid.clone()),
            class: pod.class(),
            cpu: if reclaimed { MilliCpu::ZERO } else { pod.cpu_request() },
            memory: if reclaimed { Bytes::ZERO } else { pod.memory_request() },
            reclaimed_cpu: pod.reclaimed_cpu(),
            reclaimed_memory: pod.reclaimed_memory(),
            own_cpus: own.unwrap_or_default(),
            nodes: assignment.nodes.get(&pod.uid).cloned().unwrap_or_default(),
        }
    }

    fn attributes(&self) -> BTreeMap<String, String> {
        let version = match self.layout.mode() {
            cgroup::Mode::V1 => "v1",
            cgroup::Mode::Hybrid => "hybrid",
            cgroup::Mode::V2 => "v2",
        };
        BTreeMap::from([("cgroup".to_owned(), version.to_owned()), ("mode".to_owned(), self.config.mode.to_string())])
    }
}

/// A pod as people look it up: a static one by the uid that kubelet gave it.
fn about_record(record: &ApiPod) -> About {
    let api_uid = if record.is_static { record.pod.uid.to_string() } else { record.api_uid.clone() };
    About::Pod { name: record.pod.name.clone(), api_uid }
}
