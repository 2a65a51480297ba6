//! The words of several plugins about one request, put together. No two may set the same field.

use super::amounts::Amounts;
use super::connection::Connection;
use super::core::Core;
use super::{check, world::Held};
use gleaner_crds::nri::{ContainerAdjustment, ContainerUpdate, LinuxResources};
use std::collections::BTreeMap;

/// Who set which field of which container.
#[derive(Debug, Default)]
pub(super) struct Owners(BTreeMap<(String, String), String>);

impl Owners {
    fn claim(&mut self, core: &Core, plugin: &str, container: &str, fields: Vec<String>) -> Result<(), String> {
        for field in fields {
            if let Some(other) = self.0.insert((container.to_owned(), field.clone()), plugin.to_owned()) {
                let conflict = format!("plugins {other:?} and {plugin:?} both tried to set {field}");
                core.log.violation(conflict.clone());
                return Err(conflict);
            }
        }
        Ok(())
    }

    /// Takes an adjustment into a container that is to be created.
    ///
    /// # Errors
    /// The conflict.
    pub(super) fn adjust(&mut self, core: &Core, plugin: &Connection, held: &mut Held, adjust: &ContainerAdjustment) -> Result<(), String> {
        let label = plugin.label();
        let annotations = adjust.annotations.keys().map(|key| format!("annotation {:?}", key.trim_start_matches('-')));
        let env = adjust.env.iter().map(|pair| format!("env {:?}", pair.key.trim_start_matches('-')));
        self.claim(core, &label, &held.id, annotations.chain(env).collect())?;
        for (key, value) in &adjust.annotations {
            match key.strip_prefix('-') {
                Some(gone) => drop(held.annotations.remove(gone)),
                None => drop(held.annotations.insert(key.clone(), value.clone())),
            }
        }
        for pair in &adjust.env {
            if pair.key.starts_with('-') {
                core.log.violation(format!("{label}: removal of the variable {:?}, which has no effect", &pair.key[1..]));
            } else {
                held.env.insert(pair.key.clone(), pair.value.clone());
            }
        }
        let Some(resources) = adjust.linux.as_ref().and_then(|linux| linux.resources.as_ref()) else { return Ok(()) };
        self.claim(core, &label, &held.id, fields(resources))?;
        inspect(core, &label, &held.id, resources);
        held.amounts.take(&Amounts::of(resources));
        Ok(())
    }

    /// Takes an update of any container. Returns what it asks for; `None` when it asks for nothing.
    ///
    /// # Errors
    /// The conflict.
    pub(super) fn update(&mut self, core: &Core, plugin: &Connection, update: &ContainerUpdate) -> Result<Option<Amounts>, String> {
        let Some(resources) = update.linux.as_ref().and_then(|linux| linux.resources.as_ref()) else { return Ok(None) };
        let label = plugin.label();
        self.claim(core, &label, &update.container_id, fields(resources))?;
        inspect(core, &label, &update.container_id, resources);
        Ok(Some(Amounts::of(resources)))
    }
}

/// Complains of what a plugin asks for in vain, or to the harm of the container.
pub(super) fn inspect(core: &Core, label: &str, container: &str, resources: &LinuxResources) {
    let memory = resources.memory.unwrap_or_default();
    for (name, given) in [("memory.reservation", memory.reservation.is_some()), ("memory.swap", memory.swap.is_some())] {
        if given {
            core.log.violation(format!("{label}: {name} of {container}, which has no effect"));
        }
    }
    let asked = Amounts::of(resources);
    if let Err(why) = check::start(&asked, &core.machine) {
        core.log.violation(format!("{label}: {container} cannot start with what is asked for: {why}"));
    }
    if asked.is_idle() {
        core.log.violation(format!("{label}: cpu.idle of the container {container}, which can never be updated then"));
    }
}

/// The fields that are set, in the words of conflicts.
fn fields(resources: &LinuxResources) -> Vec<String> {
    let cpu = resources.cpu.clone().unwrap_or_default();
    let memory = resources.memory.unwrap_or_default();
    let numbers = [
        ("CPU pinning", !cpu.cpus.is_empty()),
        ("memory pinning", !cpu.mems.is_empty()),
        ("CPU shares", cpu.shares.is_some()),
        ("CPU quota", cpu.quota.is_some()),
        ("CPU period", cpu.period.is_some()),
        ("memory limit", memory.limit.is_some()),
        ("memory reservation", memory.reservation.is_some()),
        ("memory swap limit", memory.swap.is_some()),
    ];
    let numbers = numbers.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned());
    numbers.chain(resources.unified.keys().map(|file| format!("unified resource {file:?}"))).collect()
}
