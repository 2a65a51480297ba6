//! Which pods of the kubelet have cgroups, and which have had none for so long that they are gone.

use gleaner_host::cgroup::FoundPod;
use gleaner_model::{CgroupPath, PodUid, Timestamp};
use gleaner_qrm_plugins::PodCgroups;
use std::collections::BTreeMap;
use std::time::Duration;

/// The pods' cgroups at the last look.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    found: BTreeMap<PodUid, FoundPod>,
    absent_since: BTreeMap<PodUid, Timestamp>,
    /// The last look found something else than the one before, and nobody asked yet.
    news: bool,
    /// Until when new cgroups are looked for at every tick.
    expected_until: Timestamp,
}

/// How long after a pod was admitted its cgroups should have come.
const COMING: Duration = Duration::from_secs(60);

impl Presence {
    /// Notes what a look found, and tells which of the pods that hold something have had no cgroup for `patience`. A kubelet says when a pod
    /// is removed; this is for what it said while no agent listened.
    pub(crate) fn observe<'a>(
        &mut self,
        found: Vec<FoundPod>,
        holding: impl Iterator<Item = &'a PodUid>,
        now: Timestamp,
        patience: Duration,
    ) -> Vec<PodUid> {
        let found = found.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
        self.news |= found != self.found;
        self.found = found;
        let mut absent = BTreeMap::new();
        for uid in holding.filter(|uid| !self.found.contains_key(*uid)) {
            absent.insert(uid.clone(), self.absent_since.get(uid).copied().unwrap_or(now));
        }
        self.absent_since = absent;
        self.absent_since.iter().filter(|(_, since)| now.since(**since) >= patience).map(|(uid, _)| uid.clone()).collect()
    }

    /// Whether looks found other cgroups since this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// A pod was admitted, and its cgroups will come.
    pub(crate) fn expect_more(&mut self, now: Timestamp) {
        self.expected_until = now.after(COMING);
    }

    /// Whether cgroups are to be looked for at every tick.
    pub(crate) fn expects_more(&self, now: Timestamp) -> bool {
        now < self.expected_until
    }

    /// Where a pod lives.
    pub(crate) fn cgroup(&self, pod: &PodUid) -> Option<&CgroupPath> {
        self.found.get(pod).map(|found| &found.cgroup)
    }

    /// Where all containers of all pods live.
    pub(crate) fn all_containers(&self) -> impl Iterator<Item = &CgroupPath> {
        self.found.values().flat_map(|found| found.containers.iter().map(|container| &container.cgroup))
    }

    /// Where the pod's containers live, by the ids that only the runtime can put a name to.
    pub(crate) fn containers(&self, pod: &PodUid) -> impl Iterator<Item = &CgroupPath> {
        self.found.get(pod).into_iter().flat_map(|found| found.containers.iter().map(|container| &container.cgroup))
    }

    /// The cgroups of pods and of their containers. Only the runtime can put names to containers, so each stands under its id: what holds for
    /// all containers of a pod, its CPUs and memory nodes, is set by that, and what holds for one of them is the kubelet's to set.
    pub(crate) fn pod_cgroups(&self) -> BTreeMap<PodUid, PodCgroups> {
        let of = |found: &FoundPod| {
            let containers = found.containers.iter().filter_map(|c| Some((c.id.parse().ok()?, c.cgroup.clone()))).collect();
            PodCgroups { pod: found.cgroup.clone(), containers }
        };
        self.found.iter().map(|(uid, found)| (uid.clone(), of(found))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use gleaner_model::KubeQos;

    fn found(uid: &str) -> FoundPod {
        let cgroup = format!("/kubepods/pod{uid}").parse().unwrap();
        FoundPod { uid: uid.parse().unwrap(), cgroup, kube_qos: KubeQos::Guaranteed, containers: Vec::new() }
    }

    #[test]
    fn a_pod_is_gone_when_it_had_no_cgroup_for_the_whole_time() {
        let at = |s| Timestamp::since_boot(Duration::from_secs(s));
        let patience = Duration::from_secs(300);
        let (a, b): (PodUid, PodUid) = ("a".parse().unwrap(), "b".parse().unwrap());
        let holding = [a.clone(), b.clone()];
        let mut presence = Presence::default();
        let mut look = |pods: &[&str], s| presence.observe(pods.iter().map(|p| found(p)).collect(), holding.iter(), at(s), patience);
        assert!(look(&["a", "b"], 0).is_empty());
        assert!(look(&["a"], 10).is_empty());
        assert!(look(&["a", "b"], 200).is_empty(), "b came back");
        assert!(look(&["a"], 320).is_empty(), "and its time begins anew");
        assert!(look(&["a"], 619).is_empty());
        assert_eq!(look(&["a"], 620), [b]);
    }
}
