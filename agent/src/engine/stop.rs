//! A clean stop: pods end, every kernel file is put back.

use super::Engine;
use gleaner_model::Timestamp;

impl Engine {
    /// Starts ending all pods; asked a second time, they get no more grace.
    pub(super) fn begin_stop(&mut self, now: Timestamp) {
        if self.stopping {
            self.runtime.kill_all(now);
        } else if self.config.standalone.keep_pods {
            self.runtime.forget_all();
        } else if self.kubelets_pods().is_some() {
            tracing::info!("stopping: the kubelet's pods run on, with their knobs as they are");
        } else {
            tracing::info!("stopping: ending all pods");
            self.runtime.end_all(now);
        }
        self.stopping = true;
        self.taking.stop();
        let happenings = self.runtime.advance(&mut self.arbiter, now);
        self.record_all(happenings, now);
    }

    /// Puts the node back as it was. Returns what could not be put back, a line each.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.write_histories_at_end();
        if let Some(recording) = self.recording.take() {
            recording.stop();
        }
        // An agent that is replaced by its next version must not leave the kubelet's pods without isolation in between.
        if self.config.standalone.keep_pods || self.kubelets_pods().is_some() {
            return Vec::new();
        }
        self.runtime.remove_classes(&mut self.arbiter);
        let report = self.arbiter.restore();
        let mut left = report.failed;
        left.extend(report.remaining_cgroups.iter().map(|cgroup| format!("cgroup {cgroup} still holds processes")));
        left
    }
}
