//! From a question about one container to the plugin that answers it. What every plugin needs is done here once: annotations are read, what
//! asks for nothing is answered, and a change is whole or none.

use crate::ledger::Ledger;
use crate::plugin::{
    Allocatable, Allocations, ContainerAllocation, ContainerType, Context, Decisions, Parsed, Request, ResourcePlugin, Told,
};
use crate::{Hints, Refusal, Rule};
use gleaner_model::{ContainerName, PodUid, QosConfig, QosSpec};
use std::collections::BTreeMap;

/// The plugins of this process, by the resource that each is for.
#[derive(Default)]
pub struct Plugins {
    plugins: BTreeMap<String, Box<dyn ResourcePlugin + Send>>,
}

impl Plugins {
    /// No two plugins are for one resource: the later one is meant.
    #[must_use]
    pub fn new(plugins: Vec<Box<dyn ResourcePlugin + Send>>) -> Self {
        Self { plugins: plugins.into_iter().map(|plugin| (plugin.resource().to_owned(), plugin)).collect() }
    }

    /// Each plugin.
    pub fn iter(&self) -> impl Iterator<Item = &(dyn ResourcePlugin + Send)> {
        self.plugins.values().map(AsRef::as_ref)
    }

    fn of(&self, resource: &str) -> Result<&(dyn ResourcePlugin + Send), Refusal> {
        let unknown = || Refusal::by(Rule::BadRequest, format!("no plugin is for the resource {resource:?}"));
        self.plugins.get(resource).map(AsRef::as_ref).ok_or_else(unknown)
    }

    /// Where a container could be placed.
    ///
    /// # Errors
    /// When its annotations are wrong, or it can be placed nowhere.
    pub fn hints(
        &self,
        resource: &str,
        context: &Context<'_>,
        ledger: &Ledger,
        request: &Request,
        qos: &QosConfig,
    ) -> Result<Told<Hints>, Refusal> {
        let plugin = self.of(resource)?;
        is_for(plugin, request)?;
        let spec = spec(request, qos, context)?;
        if !is_placed(request.kind) {
            return Ok(Told { class: spec.class, answer: Hints::NoPreference });
        }
        let answer = plugin.hints(context, ledger, &Parsed { request, qos: &spec })?;
        Ok(Told { class: spec.class, answer })
    }

    /// Gives a container what it asks for. On failure the ledger is as it was.
    ///
    /// # Errors
    /// When its annotations are wrong, or with the rule that stops it.
    pub fn allocate(
        &self,
        resource: &str,
        context: &Context<'_>,
        ledger: &mut Ledger,
        request: &Request,
        qos: &QosConfig,
    ) -> Result<(Told<ContainerAllocation>, Decisions), Refusal> {
        let plugin = self.of(resource)?;
        is_for(plugin, request)?;
        let spec = spec(request, qos, context)?;
        if !is_placed(request.kind) {
            return Ok((Told { class: spec.class, answer: ContainerAllocation::new() }, Decisions::new()));
        }
        let asked = Parsed { request, qos: &spec };
        let decisions = ledger.transact(&request.pod.uid, |ledger| plugin.allocate(context, ledger, &asked))?;
        let answer = plugin.allocation(context, ledger, &request.pod.uid, &request.container);
        Ok((Told { class: spec.class, answer }, decisions))
    }

    /// Takes a pod out of the ledger; whether it was in it.
    pub fn remove(&self, context: &Context<'_>, ledger: &mut Ledger, pod: &PodUid) -> bool {
        if ledger.entries().contains_key(pod) {
            self.iter().for_each(|plugin| plugin.release(context, ledger, pod));
        }
        ledger.remove(pod)
    }

    /// What every container has of one resource.
    ///
    /// # Errors
    /// When no plugin is for the resource.
    pub fn allocations(&self, resource: &str, context: &Context<'_>, ledger: &Ledger) -> Result<Allocations, Refusal> {
        let plugin = self.of(resource)?;
        let of_pod = |uid: &PodUid, containers: Vec<&ContainerName>| {
            let each = containers.into_iter().map(|name| (name.clone(), plugin.allocation(context, ledger, uid, name)));
            each.filter(|(_, given)| !given.is_empty()).collect::<BTreeMap<_, _>>()
        };
        let pods = ledger.entries().iter().map(|(uid, entry)| (uid.clone(), of_pod(uid, entry.containers.keys().collect())));
        Ok(pods.filter(|(_, containers)| !containers.is_empty()).collect())
    }

    /// What one container has of one resource.
    ///
    /// # Errors
    /// When no plugin is for the resource.
    pub fn allocation(
        &self,
        resource: &str,
        context: &Context<'_>,
        ledger: &Ledger,
        pod: &PodUid,
        container: &ContainerName,
    ) -> Result<ContainerAllocation, Refusal> {
        Ok(self.of(resource)?.allocation(context, ledger, pod, container))
    }

    /// What the node has of one resource.
    ///
    /// # Errors
    /// When no plugin is for the resource.
    pub fn allocatable(&self, resource: &str, context: &Context<'_>, ledger: &Ledger) -> Result<Allocatable, Refusal> {
        Ok(self.of(resource)?.allocatable(context, ledger))
    }
}

/// One socket serves one resource.
fn is_for(plugin: &(dyn ResourcePlugin + Send), request: &Request) -> Result<(), Refusal> {
    let names = plugin.names();
    if names.contains(&request.resource.as_str()) {
        return Ok(());
    }
    let cause = format!(
        "resource_requests: asks for {:?} of the plugin for {}, which gives {}",
        request.resource,
        plugin.resource(),
        names.join(" and ")
    );
    Err(Refusal::by(Rule::BadRequest, cause))
}

/// Init containers run to their end before the others start, and containers added by hand are guests: both run where the pod runs, and are
/// given nothing of their own.
fn is_placed(kind: ContainerType) -> bool {
    matches!(kind, ContainerType::Main | ContainerType::Sidecar)
}

fn spec(request: &Request, config: &QosConfig, context: &Context<'_>) -> Result<QosSpec, Refusal> {
    let spec = QosSpec::parse(&request.pod.annotations, config).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Refusal::by(Rule::BadRequest, lines.join("; "))
    })?;
    let nodes = context.topology.nodes().map(|(id, _)| id).collect();
    spec.check_against(&nodes).map_err(|error| Refusal::by(Rule::BadRequest, error.to_string()))?;
    Ok(spec)
}

#[cfg(test)]
mod tests;
