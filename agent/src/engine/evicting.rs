//! Who must go, and who ends them: the embedded runtime, or the API server's eviction.

use super::Engine;
use crate::kubernetes::{EventNote, EvictionOrder, EvictionOutcome, event_of_outcome};
use gleaner_eviction::Victim;
use gleaner_model::{MilliCpu, Pod, PodName, PodUid, QosClass, Reason, Snapshot, Subject, Timestamp};
use std::collections::BTreeSet;

/// Ticks after which every reading should be there.
const SETTLED: u64 = 10;

/// For how many cool-downs a pod that could not be evicted is left alone.
const SPARED: u32 = 10;

impl Engine {
    pub(super) fn evict_now(&mut self, snapshot: &Snapshot) {
        let now = snapshot.at;
        let fired = std::mem::take(&mut self.pressure_fired);
        // Not the promise: where that is raised, it would hide that there is less than was promised.
        let supply = self.estimate.as_ref().and_then(gleaner_estimator::Estimate::known_supply);
        self.evicting.retain(|uid| snapshot.pods.contains_key(uid));
        self.spared.retain(|uid, until| *until > now && snapshot.pods.contains_key(uid));
        let leaving = self.leaving();
        let (round, state) = gleaner_eviction::decide(snapshot, supply, &self.config.eviction, &self.eviction, &leaving, fired);
        self.eviction = state;
        self.record_eviction(leaving, fired, &round);
        self.withdraw_moot(snapshot, supply);
        let mut off: Vec<String> = round.notes.iter().map(ToString::to_string).collect();
        let nobody_ends = self.kubelets_pods().is_some() && self.cluster.is_none();
        if nobody_ends && !round.victims.is_empty() {
            off.push(format!("{} pods should go, but without an API server nothing can end a kubelet's pods", round.victims.len()));
        }
        // Right after the start nothing is known yet, which is no failure.
        let settled = self.ticks > SETTLED;
        self.note("eviction", (settled && !off.is_empty()).then(|| off.join("; ")), now);
        for victim in round.victims {
            self.recorder.record(now, Subject::Pod(victim.name.clone()), victim.reason.clone());
            if !self.config.shadow {
                self.evict(victim, now);
            }
        }
    }

    fn evict(&mut self, victim: Victim, now: Timestamp) {
        let Victim { pod, name, grace, reason } = victim;
        if self.kubelets_pods().is_none() {
            self.runtime.evict(&pod, grace, &reason, now);
            return;
        }
        let Some(links) = &self.cluster else { return };
        let known = self.stock.as_ref().and_then(|stock| stock.record(&pod));
        let api_uid = known.map_or_else(|| pod.to_string(), |record| record.api_uid.clone());
        if links.evictions.order(EvictionOrder { pod: pod.clone(), name, api_uid, grace, reason }) {
            self.evicting.insert(pod);
        }
    }

    /// Takes orders back whose cause is over: there is what all reclaimed pods were promised, and memory is not short.
    fn withdraw_moot(&mut self, snapshot: &Snapshot, supply: Option<MilliCpu>) {
        let Some(links) = self.cluster.as_ref().filter(|_| !self.evicting.is_empty() && !self.eviction.memory_short()) else { return };
        let reclaimed = snapshot.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed);
        let promised: MilliCpu = reclaimed.map(Pod::reclaimed_cpu).sum();
        if supply.is_some_and(|supply| supply >= promised) {
            // Of what the API server took already nothing is left to take back.
            self.evicting.retain(|pod| !links.evictions.withdraw(pod));
        }
    }

    /// What came of an eviction. A pod that could not be evicted may be chosen again when its cause lasts.
    pub(super) fn evicted(&mut self, pod: PodUid, outcome: &EvictionOutcome, now: Timestamp) {
        let name: Option<PodName> = self.kubelets_pods().and_then(|pods| pods.get(&pod)).map(|pod| pod.name.clone());
        let what = match outcome {
            EvictionOutcome::Accepted => "its eviction was accepted by the API server".to_owned(),
            EvictionOutcome::Gone => "is gone already".to_owned(),
            EvictionOutcome::Blocked { cause, again_in } => {
                format!("its eviction is blocked, tried again in {} s: {cause}", again_in.as_secs())
            }
            EvictionOutcome::Failed(cause) => format!("cannot be evicted: {cause}"),
        };
        if let (Some((kind, reason, note)), Some(about), Some(links)) =
            (event_of_outcome(outcome), name.as_ref().and_then(|name| self.about(name)), &self.cluster)
        {
            links.events.tell(EventNote { about, kind, reason, note });
        }
        if matches!(outcome, EvictionOutcome::Gone | EvictionOutcome::Failed(_)) {
            self.evicting.remove(&pod);
            // Others are asked first; the cause may be over by then.
            self.spared.insert(pod.clone(), now.after(self.config.eviction.cool_down.get().saturating_mul(SPARED)));
        }
        if let Some(name) = name {
            self.recorder.record(now, Subject::Pod(name), Reason::Lifecycle { what });
        }
    }

    /// Pods that are on their way out, that could not be evicted a while ago, and those that nobody can end: static ones.
    fn leaving(&self) -> BTreeSet<PodUid> {
        let mut leaving = self.runtime.leaving();
        leaving.extend(self.evicting.iter().cloned());
        leaving.extend(self.spared.keys().cloned());
        leaving.extend(self.stock.iter().flat_map(crate::stock::Stock::no_victims).cloned());
        leaving
    }
}
