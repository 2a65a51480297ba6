//! What the configuration is: that of file and flags, and over it that of the cluster.

use super::Engine;
use crate::cli::ConfigArgs;
use crate::config::Config;
use crate::kubernetes::{CONFIGURATION_PART, ConfigurationEvent, Followed, Links, Outcome};
use gleaner_model::{Reason, Subject, Timestamp};

impl Engine {
    /// From now on the cluster is told, and its configuration followed. What of it was in force when an earlier agent ran is again.
    pub(crate) fn link(&mut self, links: Links, now: Timestamp) {
        self.recorder.keep_untold();
        if self.config.kubernetes.follow_configuration {
            let (mut followed, warning) = Followed::load(&self.config.state_dir, &links.node);
            warning.iter().for_each(|warning| tracing::warn!("{warning}"));
            let outcome = followed.rebase(&self.base, &self.topology);
            (self.followed, self.cluster) = (Some(followed), Some(links));
            self.configured(outcome, now);
        } else {
            self.cluster = Some(links);
        }
    }

    /// Takes what the cluster has for this node.
    pub(super) fn configuration_told(&mut self, event: ConfigurationEvent, now: Timestamp) {
        let Some(followed) = &mut self.followed else { return };
        let outcome = followed.take(event, &self.base, &self.topology);
        if outcome.config.is_some() {
            self.recorder.record(now, Subject::Node, Reason::Lifecycle { what: outcome.told.clone() });
        }
        self.configured(outcome, now);
    }

    fn configured(&mut self, outcome: Outcome, now: Timestamp) {
        self.note(CONFIGURATION_PART, outcome.problem, now);
        self.configuration_refused = outcome.refused;
        if let Some(links) = &self.cluster {
            outcome.notes.into_iter().for_each(|note| links.events.tell(note));
        }
        if let Some(config) = outcome.config {
            self.put_in_force(config, now);
        }
    }

    /// Reads the file again; a wrong one changes nothing.
    pub(super) fn reload(&mut self, now: Timestamp) {
        let Some(file) = self.config_file.clone() else { return };
        let args = ConfigArgs { config: Some(file), state_dir: None, socket: None, cgroup_root: None };
        let loaded = Config::load(&args).and_then(|config| config.check_against(&self.topology).map(|()| config));
        match loaded {
            Ok(config) => {
                tracing::info!("configuration read again; what needs a restart is in docs/configuration.md");
                self.note("configuration", None, now);
                take_changeable(&mut self.base, config);
                match &mut self.followed {
                    Some(followed) => {
                        let outcome = followed.rebase(&self.base, &self.topology);
                        self.configured(outcome, now);
                    }
                    None => self.put_in_force(self.base.clone(), now),
                }
            }
            Err(problems) => self.note("configuration", Some(problems.join("; ")), now),
        }
    }

    /// Takes over what may change while the agent runs.
    fn put_in_force(&mut self, config: Config, now: Timestamp) {
        take_changeable(&mut self.config, config);
        (self.settled, self.planned) = (None, None);
        if let Some(links) = &self.cluster {
            links.qos.send_if_modified(|qos| std::mem::replace(qos, self.config.qos.clone()) != self.config.qos);
        }
        self.read_manifests(now);
        self.step_unless_settling(now);
    }
}

/// The sections that may change while the agent runs.
fn take_changeable(to: &mut Config, from: Config) {
    to.qos = from.qos;
    to.estimator = from.estimator;
    to.placement = from.placement;
    to.topology = from.topology;
    to.memory = from.memory;
    to.knobs = from.knobs;
    to.take_back = from.take_back;
    to.eviction = from.eviction;
}
