//! What was watched so far, and what there is to tell of it.

use super::select::{Verdict, select, target};
use super::{Chosen, ConfigObject, ConfigurationEvent, Source};
use gleaner_crds::config::{CustomNodeConfigStatus, TargetConfig};
use k8s_openapi::jiff::Timestamp;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;
use std::collections::BTreeMap;

/// More objects than this are not kept: each may have 64 KiB, and none of them is for one node.
const MOST: usize = 256;

/// The objects of one kind.
#[derive(Debug)]
pub(super) struct Mirror<T> {
    /// What there is; `None`: not known yet.
    listed: Option<BTreeMap<(String, String), T>>,
    /// The part of a new list that has come.
    coming: BTreeMap<(String, String), T>,
    /// How often in a row the kind was not there.
    absent: u32,
    /// Some were not kept.
    full: bool,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self { listed: None, coming: BTreeMap::new(), absent: 0, full: false }
    }
}

impl<T> Mirror<T> {
    pub(super) fn apply(&mut self, event: Event<DynamicObject>, read: impl Fn(DynamicObject) -> T) {
        // A list begins before it is known whether there is anything to list.
        if !matches!(event, Event::Init) {
            self.absent = 0;
        }
        match event {
            Event::Init => (self.coming, self.full) = (BTreeMap::new(), false),
            Event::InitApply(object) => self.full |= !keep(&mut self.coming, object, read),
            Event::InitDone => self.listed = Some(std::mem::take(&mut self.coming)),
            Event::Apply(object) => self.full |= !keep(self.listed.get_or_insert_default(), object, read),
            Event::Delete(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.remove(&key(&object));
                }
            }
        }
    }

    /// The kind is not installed. An API server that only starts says so too; it is believed the second time.
    pub(super) fn absent(&mut self) {
        self.absent = self.absent.saturating_add(1);
        if self.absent >= 2 {
            self.listed = Some(BTreeMap::new());
        }
    }
}

/// Keeps an object, and of too many the first by name. Returns whether none was dropped.
fn keep<T>(objects: &mut BTreeMap<(String, String), T>, object: DynamicObject, read: impl Fn(DynamicObject) -> T) -> bool {
    objects.insert(key(&object), read(object));
    objects.len() <= MOST || objects.pop_last().is_none()
}

fn key(object: &DynamicObject) -> (String, String) {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

/// Everything that was watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) objects: Mirror<ConfigObject>,
    pub(super) configs: Mirror<Option<CustomNodeConfigStatus>>,
    /// The object that the node's `CustomNodeConfig` names, read after it was named; `None` inside: it is not there.
    fetched: Option<(TargetConfig, Option<ConfigObject>)>,
    told: Told,
}

/// What was told last of each kind of event.
#[derive(Debug, Default)]
struct Told {
    verdict: Option<ConfigurationEvent>,
    unusable: Vec<String>,
}

impl Watched {
    /// The object that is named but was not read since: the watch may be behind the hash that names it.
    pub(super) fn to_fetch(&self) -> Option<&TargetConfig> {
        let named = target(self.status())?;
        (self.fetched.as_ref().map(|(of, _)| of) != Some(named)).then_some(named)
    }

    /// The named object as it is now.
    pub(super) fn fetched(&mut self, target: TargetConfig, object: Option<DynamicObject>) {
        self.fetched = Some((target, object.map(ConfigObject::read)));
    }

    fn status(&self) -> Option<&CustomNodeConfigStatus> {
        self.configs.listed.as_ref()?.values().find_map(Option::as_ref)
    }

    /// What is news, and when to judge again even if nothing happens. Nothing is judged before all is known.
    pub(super) fn judge(
        &mut self,
        node: &str,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> (Vec<ConfigurationEvent>, Option<Timestamp>) {
        // Every node has labels, its own name among them; none means that they are not known yet.
        let (Some(objects), Some(_), false) = (&self.objects.listed, &self.configs.listed, labels.is_empty()) else {
            return (Vec::new(), None);
        };
        if self.to_fetch().is_some() {
            return (Vec::new(), None);
        }
        let status = self.status();
        // The watch may tell an older version of a named object, or none at all where it follows another namespace.
        let named = self.fetched.as_ref().filter(|_| target(status).is_some()).and_then(|(_, object)| object.as_ref());
        let same = |a: &Source, b: &Source| a.namespace == b.namespace && a.name == b.name;
        let others = objects.values().filter(|object| named.is_none_or(|named| !same(&named.source, &object.source)));
        let selection = select(node, labels, others.chain(named), status, now);
        let mut unusable = selection.unusable;
        if self.objects.full {
            unusable.push(format!("there are more than {MOST} AdminQoSConfigurations; the last by name do not count"));
        }
        let until = selection.until;
        let verdict = event(selection.verdict);
        let mut news = Vec::new();
        if self.told.unusable != unusable {
            self.told.unusable.clone_from(&unusable);
            news.push(ConfigurationEvent::Unusable(unusable));
        }
        if self.told.verdict.as_ref() != Some(&verdict) {
            self.told.verdict = Some(verdict.clone());
            news.push(verdict);
        }
        (news, until)
    }
}

/// The status of a `CustomNodeConfig`, if it can be read.
pub(super) fn read_status(object: DynamicObject) -> Option<CustomNodeConfigStatus> {
    let Value::Object(mut data) = object.data else { return None };
    serde_json::from_value(data.remove("status")?).ok()
}

fn event(verdict: Verdict<'_>) -> ConfigurationEvent {
    match verdict {
        Verdict::None => ConfigurationEvent::NoneChosen,
        Verdict::Absent(source) => absent(source),
        Verdict::Chosen(choice) => {
            let source = choice.object.source.clone();
            match &choice.object.content {
                Err(problem) => ConfigurationEvent::Refused { source, problems: vec![problem.clone()] },
                Ok(content) => ConfigurationEvent::Chosen(Box::new(Chosen {
                    source,
                    hash: choice.object.hash.clone(),
                    named: choice.named,
                    why: choice.why,
                    hold: choice.hold,
                    content: content.clone(),
                })),
            }
        }
    }
}

fn absent(source: Source) -> ConfigurationEvent {
    ConfigurationEvent::Refused { source, problems: vec!["the node's CustomNodeConfig names it, but it is not there".to_owned()] }
}
