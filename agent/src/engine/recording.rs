//! What of a tick is recorded. Without `--record` nothing is copied.

use super::{Engine, Event};
use crate::record::{Evicted, FORMAT, Header, PART, Placed, Policies, Recording, States};
use gleaner_eviction::Round;
use gleaner_host::clock;
use gleaner_model::{Assignment, Pod, PodUid, PoolName, Snapshot, Timestamp};
use gleaner_qrm_plugins::Placement;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

impl Engine {
    /// Starts to record, if that is wanted. A failure is health, and stops nothing.
    pub(super) fn start_recording(&mut self, sender: &mpsc::Sender<Event>, now: Timestamp) {
        let header = Header {
            record: FORMAT,
            gleaner: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.inventory.hostname.clone(),
            boot: self.inventory.boot_id.clone(),
            begun: now,
            wall: clock::wall(),
            mode: self.config.mode,
            shadow: self.config.shadow,
            topology: (*self.topology).clone(),
        };
        let sender = sender.clone();
        let tell = move |problem| {
            // The loop is gone when the agent stops; nobody is left to tell then.
            let _ = sender.blocking_send(Event::PartDoes { part: PART.into(), problem });
        };
        match Recording::start(&self.config.record, header, tell) {
            Ok(recording) => self.recording = recording,
            Err(error) => self.note(PART, Some(error.to_string()), now),
        }
    }

    /// Right before the estimate.
    pub(super) fn record_before(&mut self, now: Timestamp) {
        let (estimator, eviction) = (&self.estimator, &self.eviction);
        if let Some(recording) = &mut self.recording {
            recording.begin(now, self.ledger.assignment(), || States { estimator: estimator.clone(), eviction: eviction.clone() });
        }
    }

    /// Right after the solver has answered.
    pub(super) fn record_placement(
        &self,
        start: &Assignment,
        pods: &BTreeMap<PodUid, Pod>,
        sizes: BTreeMap<PoolName, u32>,
        placement: &Placement,
    ) {
        if let Some(recording) = &self.recording {
            let (start, pods, result) = (start.clone(), pods.clone(), placement.assignment.clone());
            recording.placed(Placed { start, pods, sizes, policy: self.config.placement.clone(), result });
        }
    }

    /// Right after it was decided who must go.
    pub(super) fn record_eviction(&mut self, leaving: BTreeSet<PodUid>, fired: bool, round: &Round) {
        if let Some(recording) = &mut self.recording {
            recording.evicted(Evicted { leaving, fired, round: round.clone() });
        }
    }

    /// At the end of a tick. The readings stay with the snapshot; its pods are not needed any more.
    pub(super) fn record_tick(&mut self, mut snapshot: Snapshot) -> Snapshot {
        if let (Some(recording), Some(estimate)) = (&mut self.recording, &self.estimate) {
            let pods = std::mem::take(&mut snapshot.pods);
            let recorded =
                Snapshot { at: snapshot.at, wall: snapshot.wall, pods, readings: snapshot.readings.clone(), node: snapshot.node.clone() };
            let policies = Policies { estimator: self.config.estimator.clone(), eviction: self.config.eviction.clone() };
            recording.end(recorded, policies, self.advice.clone(), estimate.clone(), &self.recorder);
        }
        snapshot
    }
}
