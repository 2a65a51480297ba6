//! What the event loop keeps of the cluster's configuration: the object in force, and what is wrong with a newer one.

use super::last_good::{InForce, LastGood};
use super::merge::{Merged, merge};
use super::{Chosen, ConfigurationEvent, Source, shortened};
use crate::config::Config;
use crate::kubernetes::{About, EventKind, EventNote};
use gleaner_crds::config::{GROUP, VERSION};
use gleaner_model::Topology;
use std::path::Path;

/// How many problems or places one message names.
const SHOWN: usize = 8;

/// The object in force for this node, and what became of the last one that was not taken over.
#[derive(Debug)]
pub(crate) struct Followed {
    store: LastGood,
    in_force: Option<InForce>,
    /// Places of the object in force that mean nothing here.
    ignored: Vec<String>,
    /// Object and content that was refused last, with its problems.
    refused: Option<(Source, String, Vec<String>)>,
    /// Why the object that counts is not taken over for now.
    hold: Option<String>,
    unusable: Vec<String>,
    reach: Option<String>,
    unsaved: Option<String>,
}

/// What an event led to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The configuration from now on; `None`: it stays as it is.
    pub(crate) config: Option<Config>,
    /// What is wrong, for the agent's health; `None`: nothing is.
    pub(crate) problem: Option<String>,
    /// Why the object that counts is not in force, for the node's conditions.
    pub(crate) refused: Option<String>,
    /// One sentence on what is in force, for the log and for the node's conditions.
    pub(crate) told: String,
    /// To be told as Events.
    pub(crate) notes: Vec<EventNote>,
}

impl Followed {
    /// What was in force for this node when it was last known, from `configuration.json` in the state folder; and a line, if the file was of no
    /// use and was set aside.
    pub(crate) fn load(state: &Path, node: &str) -> (Self, Option<String>) {
        let store = LastGood::new(state.join("configuration.json"), node.to_owned());
        let (in_force, line) = store.load();
        let none = Vec::new;
        let followed = Self { store, in_force, ignored: none(), refused: None, hold: None, unusable: none(), reach: None, unsaved: None };
        (followed, line)
    }

    /// Lays what is in force over the configuration of the file: at the start, and when the file was read again. If that does not go, the
    /// file alone counts, and the outcome says why.
    pub(crate) fn rebase(&mut self, base: &Config, topology: &Topology) -> Outcome {
        let Some(in_force) = &self.in_force else { return self.outcome(Some(base.clone()), Vec::new()) };
        let chosen = in_force.chosen();
        match checked(base, &chosen, topology) {
            Ok(merged) => {
                self.ignored = merged.ignored;
                self.outcome(Some(merged.config), Vec::new())
            }
            Err(problems) => {
                // The disk keeps it: the file may be mended before the API server can be asked.
                self.in_force = None;
                self.ignored.clear();
                let notes = self.refuse(chosen.source, chosen.hash, problems);
                self.outcome(Some(base.clone()), notes)
            }
        }
    }

    /// Takes in what the cluster has for the node. `base` is the configuration of the file and the flags.
    pub(crate) fn take(&mut self, event: ConfigurationEvent, base: &Config, topology: &Topology) -> Outcome {
        let mut notes = Vec::new();
        let mut config = None;
        match event {
            ConfigurationEvent::Chosen(chosen) => (config, notes) = self.choose(*chosen, base, topology),
            ConfigurationEvent::NoneChosen => {
                (self.refused, self.hold) = (None, None);
                if self.in_force.take().is_some() {
                    self.ignored.clear();
                    self.save();
                    config = Some(base.clone());
                }
            }
            ConfigurationEvent::Refused { source, problems } => notes = self.refuse(source, String::new(), problems),
            ConfigurationEvent::Unusable(lines) => self.unusable = lines,
            ConfigurationEvent::Reach(problem) => self.reach = problem,
        }
        self.outcome(config, notes)
    }

    fn choose(&mut self, chosen: Chosen, base: &Config, topology: &Topology) -> (Option<Config>, Vec<EventNote>) {
        self.hold = chosen.hold.as_ref().map(|hold| format!("{} counts for this node, but {hold}", chosen.source));
        if self.hold.is_some() || self.goes_on(&chosen) {
            self.refused = None;
            return (None, Vec::new());
        }
        match checked(base, &chosen, topology) {
            Ok(merged) => {
                self.refused = None;
                self.ignored = merged.ignored;
                self.in_force = Some(InForce::new(chosen));
                self.save();
                (Some(merged.config), Vec::new())
            }
            Err(problems) => (None, self.refuse(chosen.source, chosen.hash, problems)),
        }
    }

    /// Whether an object changes nothing of what is in force: it has the same content, or those who decide when a change reaches the node name it by
    /// the same hash.
    fn goes_on(&mut self, new: &Chosen) -> bool {
        let Some(old) = &mut self.in_force else { return false };
        let same_object = old.source.namespace == new.source.namespace && old.source.name == new.source.name;
        if same_object && old.named.is_some() && old.named == new.named {
            return true;
        }
        if !same_object || old.hash != new.hash {
            return false;
        }
        old.why.clone_from(&new.why);
        if old.named != new.named || old.source != new.source {
            old.named.clone_from(&new.named);
            old.source.clone_from(&new.source);
            self.save();
        }
        true
    }

    /// Remembers a refusal; it is told once.
    fn refuse(&mut self, source: Source, hash: String, problems: Vec<String>) -> Vec<EventNote> {
        let refused = Some((source, hash, problems));
        if self.refused == refused {
            return Vec::new();
        }
        self.refused = refused;
        let Some((source, _, problems)) = &self.refused else { return Vec::new() };
        let about = About::Object {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: "AdminQoSConfiguration".to_owned(),
            namespace: Some(source.namespace.clone()),
            name: source.name.clone(),
            uid: source.uid.clone(),
        };
        let note = format!("not taken over by a node: {}", shortened(problems, SHOWN));
        vec![EventNote { about, kind: EventKind::Warning, reason: "ConfigurationRefused", note }]
    }

    /// What could not be stored is in force all the same; only a restart without the API server would miss it.
    fn save(&mut self) {
        self.unsaved = self.store.save(self.in_force.as_ref()).err().map(|error| error.to_string());
    }

    fn outcome(&self, config: Option<Config>, notes: Vec<EventNote>) -> Outcome {
        let refused = self.refused.as_ref().map(|(source, _, problems)| format!("{source} is refused: {}", shortened(problems, SHOWN)));
        let unusable = (!self.unusable.is_empty()).then(|| format!("not looked at: {}", shortened(&self.unusable, SHOWN)));
        let problems = [refused.clone(), unusable, self.reach.clone(), self.unsaved.clone()];
        let problems: Vec<String> = problems.into_iter().flatten().collect();
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        Outcome { config, problem, refused, told: self.told(), notes }
    }

    fn told(&self) -> String {
        let mut told = match &self.in_force {
            None => "the file alone counts".to_owned(),
            Some(object) => format!("{} is in force (hash {}): {}", object.source, object.hash, object.why),
        };
        if !self.ignored.is_empty() {
            told.push_str(&format!("; ignored: {}", shortened(&self.ignored, SHOWN)));
        }
        if let Some(hold) = &self.hold {
            told.push_str(&format!("; {hold}"));
        }
        told
    }

    /// Places of the object in force that mean nothing here; all of them.
    #[cfg(test)]
    pub(crate) fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

fn checked(base: &Config, chosen: &Chosen, topology: &Topology) -> Result<Merged, Vec<String>> {
    let merged = merge(base, chosen)?;
    let wrong = merged.config.check_against(topology).err().unwrap_or_default();
    if wrong.is_empty() { Ok(merged) } else { Err(wrong.iter().map(|problem| merged.placed(problem)).collect()) }
}
